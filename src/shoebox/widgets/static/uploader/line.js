// @ts-check
/**
 * The uploader's line to the kernel: every request has a kind, an id and a time-out.
 *
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *   off(name: string, callback: Function): void,
 *   send(content: any, callbacks?: any, buffers?: ArrayBuffer[]): void}} Model
 * @typedef {{id: string, ok: boolean, error?: string, [field: string]: any}} Reply
 * @typedef {{reply: Reply, buffers: DataView[]}} Answered
 */

const HELLO_EVERY_MS = 1000;
const HELLO_FOR_MS = 20000;

/** A sentence for the person; `code` is the key under which other languages have it, or "". */
export class Sentence extends Error {
  /** @param {string | undefined} message @param {string} [code] */
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

/** No reply in time. */
export class Silence extends Error {}

/**
 * Requests to the kernel, each with its own time-out.
 * @param {Model} model
 * @param {AbortSignal} signal
 */
export function createLine(model, signal) {
  const prefix = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");
  /** @type {Map<string, (answered: Answered) => void>} */
  const waiting = new Map();
  let count = 0;

  /** @param {Reply} reply @param {DataView[]} buffers */
  const onMessage = (reply, buffers) => waiting.get(reply?.id)?.({ reply, buffers });
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => model.off("msg:custom", onMessage));

  /**
   * @param {string} kind
   * @param {Record<string, any>} fields
   * @param {ArrayBuffer[]} buffers
   * @param {number} timeout_ms
   * @returns {Promise<Answered>}
   */
  return function ask(kind, fields, buffers, timeout_ms) {
    const id = `${prefix}-${++count}`;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        waiting.delete(id);
        signal.removeEventListener("abort", end);
      };
      const timer = setTimeout(() => { end(); reject(new Silence(kind)); }, timeout_ms);
      signal.addEventListener("abort", end);
      waiting.set(id, (answered) => {
        end();
        if (answered.reply.ok) resolve(answered);
        else reject(new Sentence(answered.reply.error, answered.reply.code));
      });
      model.send({ kind, id, ...fields }, undefined, buffers);
    });
  };
}

/**
 * Ask for a sign of life until one comes; messages sent before the kernel listens are lost.
 * @param {ReturnType<typeof createLine>} ask
 * @param {AbortSignal} signal
 */
export async function shakeHands(ask, signal) {
  for (let waited = 0; waited < HELLO_FOR_MS && !signal.aborted; waited += HELLO_EVERY_MS) {
    try {
      return await ask("hello", {}, [], HELLO_EVERY_MS);
    } catch (error) {
      if (!(error instanceof Silence)) throw error;
    }
  }
  throw new Silence("hello");
}
