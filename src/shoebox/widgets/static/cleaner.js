// @ts-check
/**
 * The cleaner's page: a grid of pictures with keys to decide. The kernel owns queue, decisions and counts, and
 * everything drawn here can be drawn again from its traits; this page owns focus, panels and what is on its way.
 *
 * `shoebox.widgets` joins the parts in `cleaner/` and this file to the one module that a widget may have.
 *
 * @typedef {import("./cleaner/words.js").Model} Model
 * @typedef {import("./cleaner/words.js").Snapshot} Snapshot
 */

import { createAhead } from "./cleaner/ahead.js";
import { createChooser } from "./cleaner/chooser.js";
import { createCloseLook } from "./cleaner/closelook.js";
import { COMING, createDeciding } from "./cleaner/deciding.js";
import { createDrawing, mount } from "./cleaner/drawing.js";
import { createFrame, drawComparison, drawCounts, drawPager, uncover } from "./cleaner/frame.js";
import { createGrid } from "./cleaner/grid.js";
import { createInside } from "./cleaner/inside.js";
import { accepted, chosen, wishOf } from "./cleaner/keys.js";
import { MOVE_TIMEOUT_MS, createLine } from "./cleaner/line.js";
import { NEW_ORDER, createOrdering } from "./cleaner/ordering.js";
import { createPanel } from "./cleaner/panel.js";
import { createPictures } from "./cleaner/pictures.js";
import { createPresence } from "./cleaner/presence.js";
import { createQuestion } from "./cleaner/question.js";
import { createSelection } from "./cleaner/selection.js";

const TRAITS = ["snapshot", "thumbnails", "planned", "result", "progress", "notice", "classes", "comparison", "ordering"];
const WALKING = ["move", "edge", "next", "previous"];
const STEPS = ["undo", "redo"]; // in the close look too
const DECIDING = ["accept", "keep", "label", "remove", "unsure"];

/** The card or close look that holds a node, as its path. @param {Element | null} node */
const pathOf = (node) => /** @type {HTMLElement | null} */ (node?.closest(".sbx-card, .sbx-close-up") ?? null)?.dataset.path;

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
  const local = { pending: new Map(), errors: new Map(), selected: new Set() };
  const pictures = createPictures(signal);
  const drawing = createDrawing(model, TRAITS, draw, signal);
  const ahead = createAhead(model, ask, pictures, drawing.schedule, signal);
  const { snapshot } = ahead;
  const turned = (/** @type {number} */ page) => drawPager(frame, snapshot(), page);
  const follow = (/** @type {number} */ page) => { ask("view", { page }).catch(() => {}); };
  const grid = createGrid(root, frame.grid, { snapshot, thumbnails: () => model.get("thumbnails"), pictures }, local, ask, { turned, follow, settled: ahead.prepare, arrived }, signal);
  const panel = createPanel(frame.panel, frame.help, frame.overview, model, () => grid.focusCurrent());
  const chooser = createChooser(root, () => model.get("classes"), signal);
  const closeLook = createCloseLook(root, (path) => (question.isOpen ? question.show() : grid.focus(path)), signal);
  const selection = createSelection(local, () => grid.drawDecisions(), () => grid.focusCurrent(false));
  const question = createQuestion((box) => (closeLook.isOpen ? closeLook.take(box) : frame.grid.before(box)), signal);
  const presence = createPresence(root, frame.who, model.get("guest"), ask, signal);
  const isUntouched = () => grid.isUntouched && !root.contains(/** @type {Document | ShadowRoot} */ (root.getRootNode()).activeElement)
    && !local.selected.size && !local.pending.size && !panel.isOpen && !closeLook.isOpen;
  const ordering = createOrdering(model, isUntouched, () => adopt());
  frame.panel.before(ordering.box);
  frame.grid.before(selection.bar);
  let drawnOrder = snapshot().order;
  let wantFocus = false;
  /** @type {string | undefined} */
  let held; // the picture on which the pointer went down
  let overviews = 0;
  let expected = 0; // the overview that is on its way and still wanted

  /** @param {string} sentence @param {"" | "error"} [kind] */
  function say(sentence, kind = "") {
    closeLook.say(sentence, kind);
    frame.live.textContent = sentence;
    frame.live.dataset.kind = kind;
    frame.alarm.textContent = kind === "error" ? sentence : "";
  }

  /** The picture that was waited for is here. */
  function arrived() {
    const said = frame.live.textContent ?? "";
    if (said.endsWith(COMING)) say(said.slice(0, -COMING.length).trimEnd());
    if (closeLook.isOpen && !question.isOpen) inside.follow();
  }

  /** A key now is meant for a picture that is not here yet. @param {string | undefined} path where it is pressed */
  const isForTheNext = (path) => grid.isWaiting
    && (path === undefined ? grid.hasFocus() : path === grid.currentPath && !local.errors.has(path));

  function draw() {
    grid.draw(uncover(frame, snapshot()) || wantFocus); // first: it asks for sizes, which is dear after other changes
    wantFocus = false;
    drawCounts(frame, snapshot(), model.get("classes"));
    drawComparison(frame, model.get("comparison"));
    frame.notice.textContent = model.get("notice");
    frame.notice.hidden = !model.get("notice");
    panel.draw();
    ordering.draw();
    drawPager(frame, snapshot(), grid.page);
    if (snapshot().order !== drawnOrder) say(NEW_ORDER);
    drawnOrder = snapshot().order;
  }

  const deciding = createDeciding({ ask, local, grid, snapshot, selection, question, say, who: presence.who, drawing });
  const { complain } = deciding;
  const inside = createInside({ ask, grid, closeLook, complain });

  /** @param {string} path @param {{kind: string, label: string | null}} wish @param {boolean} onward */
  const decide = (path, wish, onward) => { inside.after(deciding.decide(path, wish, onward), path); };

  /** @param {Record<string, any>} wish */
  async function view(wish) {
    try {
      selection.clear();
      const adopts = ordering.isReady;
      await ahead.turn(adopts ? { ...wish, adopt: true } : wish);
      say(adopts ? NEW_ORDER : "");
    } catch (error) {
      complain(error, "The page was not turned");
      drawCounts(frame, snapshot(), model.get("classes")); // a select that was changed in vain shows again what is so
    }
  }

  /** Go over to the new order, from its first page. */
  const adopt = () => { ask("adopt").catch((error) => complain(error, "The new order cannot be shown")); };

  /** @param {number} step */
  function turnPage(step) {
    if (ordering.isReady) return adopt();
    const to = grid.page + step;
    if (to < 0 || to >= snapshot().pages) return say(step > 0 ? "This is the last page." : "This is the first page.");
    grid.turnTo(to, wantFocus || grid.hasFocus());
    wantFocus = false;
    return say("");
  }

  /** @param {string} path @param {boolean} all whether for all that is selected */
  function chooseOther(path, all) {
    const card = grid.card(path) ?? (all ? frame.grid : undefined);
    const item = grid.item(path);
    if (!card || !(item || all)) return undefined;
    if (closeLook.isOpen) return closeLook.closeThen(() => chooseOther(path, all));
    chooser.open(card, (label) => {
      if (path) grid.focus(path, false);
      if (label === null) return;
      if (all) deciding.decideSelected({ kind: "relabel", label });
      else if (item) decide(path, chosen(item, label), true);
    });
    return undefined;
  }

  async function toggleOverview() {
    if (panel.showsOverview || expected) return closeOverview();
    overviews += 1;
    const mine = overviews;
    expected = mine;
    try {
      const { labels, cells, left_out: leftOut } = await ask("confusion");
      if (mine !== expected) return undefined;
      panel.setOverview({ labels, cells, left_out: leftOut });
      panel.focus();
    } catch (error) {
      if (mine === expected) complain(error, "The overview cannot be shown");
    } finally {
      if (mine === expected) expected = 0;
    }
    return undefined;
  }

  function closeOverview() {
    expected = 0;
    panel.setOverview(null);
  }

  /** Open what a cell or a bar counts: all of it, whatever was filtered before. @param {Record<string, any>} filters */
  function openThose(filters) {
    closeOverview();
    wantFocus = true;
    return view({ label: null, suggested: null, issue_kind: null, source: null, side: null, status: "all", page: 0, ...filters });
  }

  async function showPlan() {
    expected = 0; // it would cover the plan
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
    expected = 0;
    if (panel.close()) ask("cancel").catch(() => {}); // closed here in any case
  }

  /** @param {string} kind */
  const one = (kind) => (/** @type {string} */ path, /** @type {boolean} */ onward) => { decide(path, { kind, label: null }, onward); };

  /** What can be done to a card. @type {Record<string, (path: string, onward: boolean, detail: string) => void>} */
  const onCard = {
    keep: one("keep"),
    remove: one("remove"),
    unsure: one("unsure"),
    accept: (path, onward) => {
      const item = grid.item(path);
      if (item) decide(path, accepted(item), onward);
    },
    label: (path, onward, label) => {
      const item = grid.item(path);
      if (item) decide(path, chosen(item, label), onward);
    },
    other: (path) => chooseOther(path, false),
    close_look: inside.toggle,
    select: (path) => selection.toggle(path),
    alike: (path) => { deciding.selectThose("like", { path }); },
    move: (_, __, key) => grid.step(key),
    edge: (_, __, key) => grid.step(key),
  };

  /** @param {string} kind */
  const many = (kind) => () => { deciding.decideSelected({ kind, label: null }); };

  /** What can be done anywhere. @type {Record<string, (pressed: DOMStringMap) => void>} */
  const anywhere = {
    undo: () => { inside.after(deciding.undo()); },
    redo: () => { inside.after(deciding.redo()); },
    next: () => { turnPage(1); },
    previous: () => { turnPage(-1); },
    filter: () => frame.label.focus(),
    adopt: () => {
      wantFocus = true;
      adopt();
    },
    help: () => {
      expected = 0;
      panel.toggleHelp();
    },
    overview: toggleOverview,
    back: () => {
      if (question.isOpen) question.answer(false);
      else if (panel.isOpen) close();
      else if (local.selected.size) selection.clear();
      else grid.focusCurrent();
    },
    close,
    cancel: close,
    plan: showPlan,
    apply: () => { move("apply", { confirm: model.get("planned")?.token ?? "" }, "Nothing more was moved"); },
    undo_apply: () => { move("undo_apply", {}, "Nothing more was moved back"); },
    many_accept: many("accept"),
    many_keep: many("keep"),
    many_remove: many("remove"),
    many_unsure: many("unsure"),
    many_other: () => chooseOther([...local.selected].find((path) => grid.card(path)) ?? "", true),
    many_clear: () => selection.clear(),
    answer_yes: () => question.answer(true),
    answer_no: () => question.answer(false),
    pair: ({ given, suggested }) => { openThose({ label: given, suggested }); },
    class: ({ value }) => { openThose({ label: value }); },
    kind: ({ value }) => { openThose({ issue_kind: value }); },
    open_all: () => { openThose({}); },
  };

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const target = /** @type {Element} */ (event.target);
    presence.note();
    const wish = wishOf(event, model.get("classes"));
    if (!wish) return undefined;
    const path = pathOf(target);
    const pressing = [" ", "Enter"].includes(event.key) && target.closest("button, summary") !== null;
    if (pressing || (target.matches("select, input") && wish.action !== "back")) return event.stopPropagation();
    const early = DECIDING.includes(wish.action) && isForTheNext(path);
    if (!early && (wish.action in onCard ? path === undefined : closeLook.isOpen && !STEPS.includes(wish.action))) return undefined;
    event.preventDefault();
    event.stopPropagation();
    if (early) return say(COMING);
    if (event.repeat && !WALKING.includes(wish.action)) return undefined; // a key that is held decides once
    wantFocus = grid.hasFocus() && ["next", "previous"].includes(wish.action);
    if (path === undefined || !(wish.action in onCard)) return anywhere[wish.action]?.({});
    onCard[wish.action](path, true, wish.label ?? event.key);
    if (closeLook.isOpen && wish.action !== "close_look" && wish.action !== "other") inside.follow();
    return undefined;
  }

  /** @param {MouseEvent} event */
  function onClick(event) {
    const target = /** @type {Element} */ (event.target);
    const pressed = /** @type {HTMLElement | null} */ (target.closest("[data-action]"));
    presence.note();
    const action = pressed?.dataset.action ?? "";
    const path = pathOf(target);
    if (event.detail > 0 && path !== undefined && path !== held) return undefined; // another picture has come under the pointer
    if (!pressed && path !== undefined && (event.shiftKey || event.ctrlKey || event.metaKey)) return selectTo(path, event.shiftKey);
    // A pointer stays where it is; a button pressed by key goes on as the other keys do.
    if (path !== undefined && action in onCard) onCard[action](path, event.detail === 0, "");
    else if (pressed) anywhere[action]?.(pressed.dataset);
    if (pressed && closeLook.isOpen && path !== undefined && ["keep", "accept", "remove", "unsure"].includes(action)) closeLook.close();
    return undefined;
  }

  /** @param {string} path @param {boolean} range */
  function selectTo(path, range) {
    if (range && selection.anchor) deciding.selectThose("between", { first: selection.anchor, last: path });
    else selection.toggle(path);
  }

  /** @param {MouseEvent} event */
  function onDoubleClick(event) {
    const target = /** @type {Element} */ (event.target);
    const path = pathOf(target);
    if (path !== undefined && target.closest(".sbx-card .sbx-picture") && !target.closest("button")) inside.toggle(path);
  }

  root.addEventListener("keydown", onKey, { signal });
  root.addEventListener("pointerdown", (event) => { held = pathOf(/** @type {Element} */ (event.target)); }, { signal });
  root.addEventListener("click", onClick, { signal });
  root.addEventListener("dblclick", onDoubleClick, { signal });
  for (const [name, select] of Object.entries(frame.filtering)) {
    const value = () => (["side", "status"].includes(name) ? select.value || null : select.value ? select.value.slice(1) : null);
    const field = name === "kind" ? "issue_kind" : name; // a request has a kind of its own
    select.addEventListener("change", () => view({ [field]: value(), page: 0 }), { signal });
  }
  return mount(el, root, drawing, controller);
}

export default { render };
