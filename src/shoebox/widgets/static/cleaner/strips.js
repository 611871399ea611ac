// @ts-check
/** The small pictures on a card that explain it: duplicates and neighbours. They come after the page is drawn. */

import { createPictures } from "./pictures.js";
import { element, fileName } from "./words.js";

const ON_A_CARD = 4;
const KEPT = 400;
const SIDE_PX = 96;

/**
 * @typedef {{strip: HTMLElement, evidence: string[]}} Strip
 * @param {(kind: string, fields: Record<string, any>) => Promise<any>} ask
 * @param {AbortSignal} signal
 */
export function createStrips(ask, signal) {
  const pictures = createPictures(signal);
  /** @type {Map<string, string>} */
  const labels = new Map(); // of the pictures that were asked for; the newest last
  /** @type {Strip[]} */
  let waiting = [];
  let asking = false;

  /** @param {Strip} one */
  const wishes = ({ evidence }) => evidence.slice(0, ON_A_CARD);

  /** @param {Strip} one */
  function draw(one) {
    const known = wishes(one).filter((path) => pictures.has(path));
    while (one.strip.childElementCount < known.length) one.strip.append(element("canvas", "", "", { role: "img" }));
    [...one.strip.children].forEach((child, order) => {
      const canvas = /** @type {HTMLCanvasElement} */ (child);
      const path = known[order];
      canvas.hidden = path === undefined;
      if (path === undefined) return;
      canvas.title = `${labels.get(path) ?? ""}\n${path}`;
      canvas.setAttribute("aria-label", `to compare: ${labels.get(path) ?? ""}, ${fileName(path)}`);
      pictures.paint(path, canvas, SIDE_PX);
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
        pictures.add(path, reply.buffers[order]);
      });
      const old = [...labels.keys()].slice(0, -KEPT);
      for (const path of old) labels.delete(path);
      if (old.length) pictures.keep("strips", [...labels.keys()]);
      waiting.forEach(draw);
    } catch {
      waiting = []; // the cards are whole without them
    } finally {
      asking = false;
      fetchMissing();
    }
  }

  return {
    /** @param {Strip[]} cards in the window */
    fill(cards) {
      waiting = cards.filter((one) => one.evidence.length && one.strip.dataset.state !== "drawn");
      waiting.forEach(draw);
      waiting = waiting.filter((one) => wishes(one).some((path) => !labels.has(path)));
      fetchMissing();
    },
  };
}
