// @ts-check
/**
 * The line to the kernel.
 *
 * @typedef {import("./words.js").Model} Model
 */

const ANSWER_TIMEOUT_MS = 4_500; // so that it is on the page within five seconds
export const MOVE_TIMEOUT_MS = 20_000; // without any sign of progress
export const SILENT = "the kernel does not answer";

/** The kernel said no, with a sentence for the person. */
export class Refusal extends Error {}
/** The kernel said nothing. */
export class Silence extends Error {}

/**
 * A line to the kernel: every request has a kind and an id, and ends in a reply, a refusal or a time-out.
 * A reply counts only when the state it speaks of has arrived too.
 * @param {Model} model
 * @param {AbortSignal} signal
 */
export function createLine(model, signal) {
  // randomUUID needs https; getRandomValues works everywhere
  const prefix = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(36)).join("");
  /** @type {Map<string, {settle: (reply: any) => void, touch: () => void, stop: () => void}>} */
  const waiting = new Map();
  /** What waits for a state to arrive. @type {Set<() => void>} */
  const drawing = new Set();
  let count = 0;

  /** @param {any} reply @param {DataView[]} [buffers] */
  const onReply = (reply, buffers = []) => waiting.get(reply?.id)?.settle({ ...reply, buffers });
  const onProgress = () => waiting.forEach(({ touch }) => touch());
  model.on("msg:custom", onReply);
  model.on("change:progress", onProgress);
  // One listener for all requests: one each would keep every reply, with its pictures, for ever.
  signal.addEventListener("abort", () => {
    model.off("msg:custom", onReply);
    model.off("change:progress", onProgress);
    waiting.forEach(({ stop }) => stop());
    waiting.clear();
    drawing.forEach((check) => model.off("change:snapshot", check));
    drawing.clear();
  });

  /** @param {number} revision @param {() => void} done */
  function whenDrawn(revision, done) {
    const check = () => {
      if (model.get("snapshot").revision < revision) return false;
      model.off("change:snapshot", check);
      drawing.delete(check);
      done();
      return true;
    };
    if (check() || signal.aborted) return;
    drawing.add(check);
    model.on("change:snapshot", check);
  }

  /**
   * @param {string} kind
   * @param {Record<string, any>} fields
   * @param {{timeout_ms?: number, slow?: () => void, late?: (reply: any) => void}} [options] `slow` is called when a request
   *   that may take longer has no answer yet by the usual time; `late` gets a reply that comes after the time-out
   * @returns {Promise<any>}
   */
  return function ask(kind, fields = {}, { timeout_ms = ANSWER_TIMEOUT_MS, slow, late = () => {} } = {}) {
    const id = `${prefix}-${(count += 1)}`;
    return new Promise((resolve, reject) => {
      let silent = false;
      const giveUp = () => { silent = true; reject(new Silence(kind)); };
      let timer = setTimeout(giveUp, timeout_ms);
      const patience = slow && setTimeout(slow, ANSWER_TIMEOUT_MS);
      const stop = () => [timer, patience].forEach((one) => clearTimeout(one));
      waiting.set(id, {
        stop,
        touch() {
          clearTimeout(timer);
          timer = setTimeout(giveUp, timeout_ms);
        },
        settle(reply) {
          stop();
          waiting.delete(id);
          if (silent) late(reply);
          else if (!reply.ok) reject(new Refusal(reply.error));
          else whenDrawn(reply.revision ?? 0, () => resolve(reply));
        },
      });
      try {
        model.send({ ...fields, kind, id });
      } catch {
        stop(); // the front end knows already that its kernel is gone
        waiting.delete(id);
        giveUp();
      }
    });
  };
}
