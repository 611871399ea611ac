// @ts-check
/**
 * The small pictures on a card that explain it: duplicates and neighbours. They come after the page is drawn.
 *
 * They are no canvases: each of those is a layer of its own, and with up to four more on each card the browser took
 * 34 ms in place of 24 to put its layers together, three or four times for each decision.
 */

import { createUrls } from "./urls.js";
import { element, fileName } from "./words.js";

const ON_A_CARD = 4;
const KEPT = 400;
const DWELL_MS = 300; // on a window: each picture that an image has shown leaves kilobytes until the browser tidies up

/**
 * @typedef {{strip: HTMLElement, evidence: string[]}} Strip
 * @param {(kind: string, fields: Record<string, any>) => Promise<any>} ask
 * @param {AbortSignal} signal
 */
export function createStrips(ask, signal) {
  const urls = createUrls(signal);
  /** @type {Map<string, string>} */
  const labels = new Map(); // of the pictures that were asked for; the newest last
  /** @type {Strip[]} */
  let waiting = [];
  let asking = false;
  let resting = 0;
  const leave = () => { resting = clearTimeout(resting) ?? 0; };
  signal.addEventListener("abort", leave);

  /** @param {Strip} one */
  const wishes = ({ evidence }) => evidence.slice(0, ON_A_CARD);

  /** @param {Strip} one */
  function draw(one) {
    const known = wishes(one).filter((path) => urls.has(path));
    while (one.strip.childElementCount < known.length) one.strip.append(element("img", "", "", { draggable: "false" }));
    [...one.strip.children].forEach((child, order) => {
      const image = /** @type {HTMLImageElement} */ (child);
      const path = known[order];
      image.hidden = path === undefined;
      if (path === undefined) return;
      image.title = `${labels.get(path) ?? ""}\n${path}`;
      image.alt = `to compare: ${labels.get(path) ?? ""}, ${fileName(path)}`;
      if (image.getAttribute("src") !== urls.of(path)) image.src = urls.of(path);
    });
    if (wishes(one).every((path) => labels.has(path))) one.strip.dataset.state = "drawn";
  }

  async function fetchMissing() {
    const missing = [...new Set(waiting.flatMap(wishes))].filter((path) => !labels.has(path)).slice(0, 48);
    if (asking || missing.length === 0 || signal.aborted) return;
    asking = true;
    try {
      const reply = await ask("strips", { paths: missing });
      for (const path of missing) labels.set(path, "");
      reply.paths.forEach((/** @type {string} */ path, /** @type {number} */ order) => {
        labels.set(path, reply.labels[order]);
        urls.add(path, reply.buffers[order]);
      });
      const old = [...labels.keys()].slice(0, -KEPT);
      for (const path of old) labels.delete(path);
      if (old.length) urls.keepOnly(new Set(labels.keys()));
      waiting.forEach(draw);
    } catch {
      waiting = []; // the cards are whole without them
    } finally {
      asking = false;
      fetchMissing();
    }
  }

  /** @param {Strip[]} cards */
  function fill(cards) {
    waiting = cards.filter((one) => one.evidence.length && one.strip.dataset.state !== "drawn");
    waiting.forEach(draw);
    waiting = waiting.filter((one) => wishes(one).some((path) => !labels.has(path)));
    fetchMissing();
  }

  return {
    /** Fill them if nobody scrolls on. @param {() => Strip[]} cards in the window by then */
    fillSoon(cards) {
      resting ||= setTimeout(() => {
        resting = 0;
        fill(cards());
      }, DWELL_MS);
    },
    /** Somebody scrolls on. */
    leave,
  };
}
