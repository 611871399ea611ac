// @ts-check
/**
 * The cleaner's page: a grid of pictures with keys to decide. The kernel owns queue, decisions and counts, and
 * everything drawn here can be drawn again from its traits; this page owns focus, panels and what is on its way.
 *
 * `shoebox.widgets` joins the parts in `cleaner/` and this file to the one module that a widget may have.
 *
 * @typedef {import("./cleaner/words.js").Kind} Kind
 * @typedef {import("./cleaner/words.js").Model} Model
 * @typedef {import("./cleaner/words.js").Snapshot} Snapshot
 */

import { createChooser } from "./cleaner/chooser.js";
import { createFrame, drawCounts, drawPager } from "./cleaner/frame.js";
import { createGrid } from "./cleaner/grid.js";
import { accepted, chosen, wishOf } from "./cleaner/keys.js";
import { MOVE_TIMEOUT_MS, Refusal, SILENT, Silence, createLine } from "./cleaner/line.js";
import { createPanel } from "./cleaner/panel.js";
import { WORDS, fileName } from "./cleaner/words.js";

const TRAITS = ["snapshot", "thumbnails", "planned", "result", "progress", "notice", "classes"];
const WALKING = ["move", "edge", "next", "previous"];

/** The card that holds a node, as its path. @param {Element | null} node */
const pathOf = (node) => /** @type {HTMLElement | null} */ (node?.closest(".sbx-card") ?? null)?.dataset.path;

/**
 * @param {{model: Model, el: HTMLElement}} context
 * @returns {() => void}
 */
function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;
  const frame = createFrame();
  const { root } = frame;
  const ask = createLine(model, signal);
  /** @type {import("./cleaner/grid.js").Local} */
  const local = { pending: new Map(), errors: new Map() };
  const grid = createGrid(root, frame.grid, model, local, signal);
  const panel = createPanel(frame.panel, frame.help, model, () => grid.focusCurrent());
  const chooser = createChooser(root, () => model.get("classes"), signal);
  const snapshot = () => /** @type {Snapshot} */ (model.get("snapshot"));
  let wantFocus = false;
  let dirty = false;
  let wishedPage = /** @type {number | null} */ (null);
  let waitingViews = 0;

  /** @param {string} sentence @param {"" | "error"} [kind] */
  function say(sentence, kind = "") {
    frame.live.textContent = sentence;
    frame.live.dataset.kind = kind;
    frame.alarm.textContent = kind === "error" ? sentence : "";
  }

  /** @param {unknown} error @param {string} what */
  function complain(error, what) {
    if (error instanceof Silence) say(`${what}: ${SILENT}. It may be busy or gone: look at the notebook, then try again.`, "error");
    else if (error instanceof Refusal) say(`${what}: ${error.message}`, "error");
    else throw error;
  }

  function schedule() {
    if (dirty) return;
    dirty = true;
    queueMicrotask(draw); // traits that arrive together are drawn together
  }

  function draw() {
    if (!dirty || signal.aborted) return;
    dirty = false;
    drawCounts(frame, snapshot());
    drawPager(frame, snapshot());
    frame.notice.textContent = model.get("notice");
    frame.notice.hidden = !model.get("notice");
    panel.draw();
    grid.draw(wantFocus);
    wantFocus = false;
  }

  /**
   * @param {string} path
   * @param {{kind: Kind, label: string | null}} wish
   * @param {boolean} onward whether the focus goes on to the next undecided picture
   */
  async function decide(path, wish, onward) {
    local.pending.set(path, wish);
    local.errors.delete(path);
    grid.drawDecisions();
    const { page, pages } = snapshot();
    const done = onward && !grid.focusNext(path) && page + 1 < pages;
    /** @param {any} reply */
    const late = (reply) => {
      if (reply.ok) local.errors.delete(path);
      schedule();
    };
    try {
      const label = wish.label === null ? {} : { label: wish.label };
      await ask("decide", { path, decision: wish.kind, ...label }, { late });
      say(`${fileName(path)}: ${wish.label ?? WORDS[wish.kind]}.${done ? " This page is done: n for the next one." : ""}`);
    } catch (error) {
      const why = error instanceof Silence ? SILENT : /** @type {Error} */ (error).message;
      if (local.pending.get(path) === wish) local.errors.set(path, `not saved: ${why}`);
      complain(error, `${fileName(path)} is not saved`);
    } finally {
      if (local.pending.get(path) === wish) local.pending.delete(path);
      grid.drawDecisions();
    }
  }

  async function undo() {
    try {
      const { path } = await ask("undo");
      draw();
      if (!path) return say("There is nothing to undo.");
      if (!grid.card(path)) return say(`The decision on ${path} is taken back. The filters hide this picture.`);
      grid.focus(path);
      say(`${fileName(path)}: taken back.`);
    } catch (error) {
      complain(error, "Nothing was undone");
    }
    return undefined;
  }

  /** @param {Record<string, any>} wish */
  async function view(wish) {
    waitingViews += 1;
    try {
      await ask("view", wish);
      say("");
    } catch (error) {
      complain(error, "The page was not turned");
    } finally {
      waitingViews -= 1;
      if (waitingViews === 0) wishedPage = null;
      schedule();
    }
  }

  /** @param {number} step */
  function turnPage(step) {
    const { page, pages } = snapshot();
    const to = (wishedPage ?? page) + step;
    if (to < 0 || to >= pages) return say(step > 0 ? "This is the last page." : "This is the first page.");
    wishedPage = to;
    return view({ page: to });
  }

  /** @param {string} path */
  function chooseOther(path) {
    const card = grid.card(path);
    const item = grid.item(path);
    if (!card || !item) return;
    chooser.open(card, (label) => {
      grid.focus(path, false);
      if (label !== null) decide(path, chosen(item, label), true);
    });
  }

  async function showPlan() {
    panel.expectPlan();
    try {
      await ask("plan");
      panel.draw();
      panel.focus();
    } catch (error) {
      complain(error, "The plan cannot be shown");
    }
  }

  /** @param {string} kind @param {Record<string, any>} fields @param {string} failure */
  async function move(kind, fields, failure) {
    if (panel.isMoving) return;
    panel.setMoving(true);
    say("Moving files …");
    try {
      await ask(kind, fields, { timeout_ms: MOVE_TIMEOUT_MS });
      say(model.get("result")?.sentence ?? "");
    } catch (error) {
      complain(error, failure);
    } finally {
      panel.setMoving(false);
      panel.focus();
    }
  }

  function close() {
    if (panel.close()) ask("cancel").catch(() => {}); // closed here in any case
  }

  /** What can be done to a card. @type {Record<string, (path: string, onward: boolean, detail: string) => void>} */
  const onCard = {
    keep: (path, onward) => { decide(path, { kind: "keep", label: null }, onward); },
    remove: (path, onward) => { decide(path, { kind: "remove", label: null }, onward); },
    unsure: (path, onward) => { decide(path, { kind: "unsure", label: null }, onward); },
    accept: (path, onward) => {
      const item = grid.item(path);
      if (item) decide(path, accepted(item), onward);
    },
    label: (path, onward, label) => {
      const item = grid.item(path);
      if (item) decide(path, chosen(item, label), onward);
    },
    other: chooseOther,
    move: (_, __, key) => grid.step(key),
    edge: (_, __, key) => grid.step(key),
  };

  /** What can be done anywhere. @type {Record<string, () => void>} */
  const anywhere = {
    undo,
    next: () => { turnPage(1); },
    previous: () => { turnPage(-1); },
    filter: () => frame.label.focus(),
    help: () => panel.toggleHelp(),
    back: () => { if (panel.isOpen) close(); else grid.focusCurrent(); },
    close,
    cancel: close,
    plan: showPlan,
    apply: () => { move("apply", { confirm: model.get("planned")?.token ?? "" }, "Nothing more was moved"); },
    undo_apply: () => { move("undo_apply", {}, "Nothing more was moved back"); },
  };

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const target = /** @type {Element} */ (event.target);
    const wish = wishOf(event, model.get("classes"));
    if (!wish) return undefined;
    const path = pathOf(target);
    const pressing = event.key === "Enter" && target.closest("button, summary") !== null;
    if (pressing || (target.matches("select, input") && wish.action !== "back")) return event.stopPropagation();
    if (wish.action in onCard && path === undefined) return undefined;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && !WALKING.includes(wish.action)) return undefined; // a key that is held decides once
    wantFocus = grid.hasFocus() && ["next", "previous"].includes(wish.action);
    if (path !== undefined && wish.action in onCard) return onCard[wish.action](path, true, wish.label ?? event.key);
    return anywhere[wish.action]?.();
  }

  /** @param {MouseEvent} event */
  function onClick(event) {
    const pressed = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-action]"));
    const action = pressed?.dataset.action ?? "";
    const path = pathOf(pressed);
    // A pointer stays where it is; a button pressed by key goes on as the other keys do.
    if (path !== undefined && action in onCard) onCard[action](path, event.detail === 0, "");
    else anywhere[action]?.();
  }

  root.addEventListener("keydown", onKey, { signal });
  root.addEventListener("click", onClick, { signal });
  frame.label.addEventListener("change", () => view({ label: frame.label.value.slice(1) || null, page: 0 }), { signal });
  frame.side.addEventListener("change", () => view({ side: frame.side.value || null, page: 0 }), { signal });
  frame.status.addEventListener("change", () => view({ status: frame.status.value, page: 0 }), { signal });
  for (const name of TRAITS) model.on(`change:${name}`, schedule);
  signal.addEventListener("abort", () => TRAITS.forEach((name) => model.off(`change:${name}`, schedule)));

  el.append(root);
  dirty = true;
  draw();

  return () => {
    controller.abort();
    root.remove();
  };
}

export default { render };
