// @ts-check
/**
 * What a person will probably open next: the first pages of the neighbouring classes, fetched while nothing else is
 * to be done, so that a switch is drawn at once and confirmed by the kernel a moment later.
 *
 * @typedef {import("./words.js").Model} Model
 * @typedef {import("./words.js").Snapshot} Snapshot
 */

import { neighbours, stateOf, viewOf, wishedView } from "./views.js";

const REST_MS = 300; // without a change, before anything is fetched ahead
const KEPT_GLANCES = 12;

/**
 * @param {Model} model
 * @param {ReturnType<typeof import("./line.js").createLine>} ask
 * @param {ReturnType<typeof import("./pictures.js").createPictures>} pictures
 * @param {() => void} changed called when another snapshot is to be drawn
 * @param {AbortSignal} signal
 */
export function createAhead(model, ask, pictures, changed, signal) {
  /** @type {Map<string, Snapshot>} */
  const glances = new Map(); // by view, the newest last
  /** @type {Snapshot | null} */
  let shown = null; // a glance that stands for the snapshot on its way
  let asked = 0;
  let fetching = false;
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));

  const told = () => /** @type {Snapshot} */ (model.get("snapshot"));
  const isFresh = (/** @type {Snapshot | undefined} */ glance) => glance !== undefined && stateOf(glance) === stateOf(told());
  const isWhole = (/** @type {Snapshot} */ glance) => glance.items.every(({ image_id: id }) => pictures.has(id));

  /** @param {Snapshot} glance */
  function keep(glance) {
    const view = viewOf(glance);
    glances.delete(view);
    if (isWhole(glance)) glances.set(view, glance);
    for (const old of [...glances.keys()].slice(0, -KEPT_GLANCES)) glances.delete(old);
    const ids = [...glances.values()].flatMap(({ items }) => items.map((item) => item.image_id));
    pictures.keep("ahead", ids);
    pictures.open(glance.items.map((item) => item.image_id));
  }

  async function fetchNext() {
    const now = told();
    const label = neighbours(now).find((one) => !isFresh(glances.get(wishedView(now, { label: one }))));
    if (label === undefined || fetching || shown || signal.aborted) return;
    fetching = true;
    try {
      const known = glances.has(wishedView(now, { label }));
      const reply = await ask("glance", { label, page: 0, pictures: !known });
      reply.buffers.forEach((/** @type {DataView} */ bytes, /** @type {number} */ order) => pictures.add(reply.glance.items[order].image_id, bytes));
      keep(reply.glance);
      prepare();
    } catch {
      /* a silent kernel is told where something was asked for */
    } finally {
      fetching = false;
    }
  }

  /** Nothing else is waited for: look ahead, after a little rest. */
  function prepare() {
    clearTimeout(timer);
    timer = window.setTimeout(fetchNext, REST_MS);
  }

  return {
    prepare,
    /** What is to be drawn. @returns {Snapshot} */
    snapshot() {
      const now = told();
      return shown && viewOf(shown) !== viewOf(now) ? shown : now;
    },
    /** Ask for another view; one that was fetched ahead is drawn before the answer. @param {Record<string, any>} wish */
    async turn(wish) {
      const mine = (asked += 1);
      const answer = ask("view", wish);
      const glance = wish.page === 0 && !wish.adopt ? glances.get(wishedView(told(), wish)) : undefined;
      if (glance && isFresh(glance)) {
        const { queue, found, revision } = told();
        shown = { ...glance, queue, found, revision };
        changed();
      }
      try {
        await answer;
      } finally {
        if (mine === asked && shown) {
          shown = null;
          changed();
        }
      }
    },
  };
}
