// @ts-check
/**
 * From a wish to a stored decision: one picture, many, undo, redo, and the question when somebody else was first.
 *
 * @typedef {import("./grid.js").Local} Local
 * @typedef {import("./words.js").Snapshot} Snapshot
 * @typedef {{kind: string, label: string | null}} Wanted
 */

import { Refusal, SILENT, Silence } from "./line.js";
import { WORDS, counted, fileName } from "./words.js";

const MANY = 1_000; // paths in one request
const MANY_TIMEOUT_MS = 20_000;
export const COMING = "The next pictures are on their way.";

/**
 * @param {{ask: ReturnType<typeof import("./line.js").createLine>, local: Local,
 *   grid: ReturnType<typeof import("./grid.js").createGrid>, snapshot: () => Snapshot,
 *   selection: ReturnType<typeof import("./selection.js").createSelection>,
 *   question: ReturnType<typeof import("./question.js").createQuestion>,
 *   say: (sentence: string, kind?: "" | "error") => void, who: () => string,
 *   drawing: ReturnType<typeof import("./drawing.js").createDrawing>}} parts
 */
export function createDeciding({ ask, local, grid, snapshot, selection, question, say, who, drawing }) {
  /** @param {unknown} error @param {string} what */
  function complain(error, what) {
    if (error instanceof Silence) say(`${what}: ${SILENT}. It may be busy or gone: look at the notebook, then try again.`, "error");
    else if (error instanceof Refusal) say(`${what}: ${error.message}`, "error");
    else throw error;
  }

  /** @param {unknown} error */
  const why = (error) => (error instanceof Silence ? SILENT : /** @type {Error} */ (error).message);

  /** @param {Wanted} wish */
  const fieldsOf = (wish) => ({ decision: wish.kind, ...(wish.label === null ? {} : { label: wish.label }),
                                ...(who() ? { who: who() } : {}) });
  /** @param {Wanted} wish */
  const inWords = (wish) => wish.label ?? WORDS[/** @type {keyof typeof WORDS} */ (wish.kind)] ?? wish.kind;

  /** Somebody else's decision stands there: only a yes puts another in its place. @param {any} reply @returns {Promise<number | null>} */
  async function overwrites(reply) {
    if (!reply.conflict) return null;
    drawing.now();
    const { seq } = reply.conflict[reply.conflict.length - 1];
    return (await question.ask(reply.error)) ? seq : -1;
  }

  /** What stands on the cards of these pictures; nothing takes it away. @param {string[]} paths @param {string} [sentence] */
  function tell(paths, sentence) {
    for (const path of paths) {
      if (sentence) local.errors.set(path, sentence);
      else local.errors.delete(path);
    }
    grid.drawDecisions();
  }

  /**
   * An answer that came after the page had said "not saved". A no, or somebody else's decision, is one still.
   * @param {string[]} paths @param {string} what
   */
  const lateFor = (paths, what) => (/** @type {any} */ reply) => {
    const own = paths.filter((path) => !local.pending.has(path)); // what was pressed again has an answer of its own to come
    const refused = !reply.ok || reply.conflict;
    tell(own, refused && `not saved: ${reply.error}`);
    grid.renew(reply.rows ?? []);
    if (own.length) say(refused ? `${what} not saved: ${reply.error}` : `${what} saved now: the kernel was late.`, refused ? "error" : "");
    drawing.schedule();
  };

  /**
   * @param {string} path
   * @param {Wanted} wish
   * @param {boolean} onward whether the focus goes on to the next undecided picture
   */
  async function decide(path, wish, onward) {
    const seen = grid.item(path)?.seq ?? 0;
    local.pending.set(path, wish);
    local.errors.delete(path);
    grid.drawDecisions();
    const done = onward && !grid.focusNext(path) && grid.page + 1 < snapshot().pages;
    const late = lateFor([path], `${fileName(path)} is`);
    try {
      let reply = await ask("decide", { path, seen, ...fieldsOf(wish) }, { late });
      const theirs = await overwrites(reply);
      if (theirs !== null && theirs >= 0) reply = await ask("decide", { path, seen: theirs, ...fieldsOf(wish) }, { late });
      grid.renew(reply.rows ?? []);
      if (theirs !== null) grid.focus(path);
      if (reply.conflict) say(`${fileName(path)} is left as it is.`);
      else say(`${fileName(path)}: ${inWords(wish)}.${grid.isWaiting ? ` ${COMING}` : done ? " This page is done: n for the next one." : ""}`);
    } catch (error) {
      if (local.pending.get(path) === wish) local.errors.set(path, `not saved: ${why(error)}`);
      complain(error, `${fileName(path)} is not saved`);
    } finally {
      if (local.pending.get(path) === wish) local.pending.delete(path);
      grid.drawDecisions();
    }
  }

  /** One decision about all that is selected. @param {Wanted} wish */
  async function decideSelected(wish) {
    const paths = [...local.selected];
    let done = 0;
    const open = () => paths.slice(done).filter((path) => local.pending.get(path) === wish);
    const slow = () => {
      tell(open(), `not saved yet: ${SILENT}`);
      say(`${counted(paths.length - done, "picture is", "pictures are")} not saved yet: ${SILENT}. It may be busy: this page goes on waiting.`, "error");
    };
    say(`${counted(paths.length, "picture", "pictures")} …`);
    for (const path of paths) local.pending.set(path, wish);
    tell(paths);
    try {
      for (let first = 0; first < paths.length; first += MANY) {
        const part = paths.slice(first, first + MANY);
        const upTo = selection.seenUpTo ?? snapshot().line;
        const fields = { paths: part, step: first > 0, ...fieldsOf(wish) };
        const options = { timeout_ms: MANY_TIMEOUT_MS, slow, late: lateFor(part, `${counted(part.length, "picture is", "pictures are")}`) };
        let reply = await ask("decide_many", { ...fields, seen_up_to: upTo }, options);
        tell(open());
        const theirs = await overwrites(reply);
        if (theirs !== null && theirs >= 0) reply = await ask("decide_many", { ...fields, seen_up_to: Math.max(...reply.conflict.map((/** @type {any} */ one) => one.seq)) }, options);
        tell(open());
        if (reply.conflict) break;
        grid.renew(reply.rows ?? []);
        done += part.length;
      }
      if (done === paths.length) selection.clear();
      say(`${counted(done, "picture", "pictures")}: ${inWords(wish)}.${done < paths.length ? " The others are left as they are." : ""}`);
    } catch (error) {
      tell(open(), `not saved: ${why(error)}`);
      complain(error, `${counted(paths.length - done, "picture is", "pictures are")} not saved`);
    } finally {
      for (const path of paths) if (local.pending.get(path) === wish) local.pending.delete(path);
      grid.drawDecisions();
    }
  }

  /** @param {"undo" | "redo"} kind @param {string} past */
  async function step(kind, past) {
    const nothing = kind === "undo" ? "Nothing was undone" : "Nothing was redone";
    const slow = () => say(`${nothing} yet: ${SILENT}. It may be busy: this page goes on waiting.`, "error");
    /** @param {any} reply */
    const show = ({ path, seq, count, rows = [] }) => {
      grid.renew(rows);
      grid.drawDecisions();
      drawing.now();
      if (!path) return say(`There is nothing ${kind === "undo" ? "of yours to undo" : "to redo"}.`);
      if (count > 1) return say(`${counted(count, "picture", "pictures")}: ${past}.`);
      if (!grid.item(path)) return say(`The decision on ${path} is ${past}. The filters hide this picture.`);
      if (!grid.isTyping()) grid.focus(path);
      const after = rows.find((/** @type {any} */ row) => row.seq > seq); // somebody has put theirs in its place
      return say(`${fileName(path)}: ${past}.${after ? ` What ${after.who} has decided since stands.` : ""}`);
    };
    try {
      const late = (/** @type {any} */ reply) => { if (reply.ok) show(reply); };
      show(await ask(kind, who() ? { who: who() } : {}, { timeout_ms: MANY_TIMEOUT_MS, slow, late }));
    } catch (error) {
      complain(error, nothing);
    }
  }

  /** Select further pictures that the kernel names. @param {string} kind @param {Record<string, any>} fields */
  async function selectThose(kind, fields) {
    try {
      const { paths, seen_up_to: upTo } = await ask(kind, fields);
      selection.add(paths, upTo);
      say(`${counted(local.selected.size, "picture", "pictures")} selected.`);
    } catch (error) {
      complain(error, "Nothing more was selected");
    }
  }

  return {
    complain, decide, decideSelected, selectThose,
    undo: () => step("undo", "taken back"),
    redo: () => step("redo", "decided again"),
  };
}
