// @ts-check
/**
 * The grid: which cards there are, which of them has the focus, and where the focus goes.
 *
 * @typedef {import("./words.js").Item} Item
 * @typedef {import("./words.js").Kind} Kind
 * @typedef {import("./words.js").Model} Model
 * @typedef {import("./words.js").Snapshot} Snapshot
 * @typedef {{pending: Map<string, {kind: Kind, label: string | null}>, errors: Map<string, string>}} Local
 *   decisions on their way to the kernel, and those that did not arrive, by path
 */

import { createCard } from "./card.js";
import { moved, nextOpen } from "./keys.js";
import { createUrls } from "./line.js";
import { undecided } from "./words.js";

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} grid
 * @param {Model} model
 * @param {Local} local
 * @param {AbortSignal} signal
 */
export function createGrid(root, grid, model, local, signal) {
  const urls = createUrls(signal);
  /** @type {Map<string, ReturnType<typeof createCard>>} */
  const cards = new Map();
  let current = ""; // path of the card that has, or would get, the focus
  let place = 0; // and where it stood
  let drawnPage = "";
  let turn = 0;

  const snapshot = () => /** @type {Snapshot} */ (model.get("snapshot"));
  const active = () => /** @type {Document | ShadowRoot} */ (root.getRootNode()).activeElement;
  const hasFocus = () => grid.contains(active());

  /** @param {Snapshot} now */
  function bringCards(now) {
    const shown = new Set(now.items.map((item) => item.path));
    for (const [path, card] of cards) {
      if (shown.has(path)) continue;
      card.row.remove();
      cards.delete(path);
    }
    urls.bring(now.items, model.get("thumbnails"));
    now.items.forEach((item, order) => {
      const card = cards.get(item.path) ?? createCard(item, urls.of(item));
      cards.set(item.path, card);
      card.row.setAttribute("aria-rowindex", String(now.page * now.page_size + order + 1));
      if (grid.children[order] !== card.row) grid.insertBefore(card.row, grid.children[order] ?? null);
    });
  }

  /** The card that was current stays so; else the first undecided one of a new page, or the one that took its place. */
  function chooseCurrent(/** @type {Snapshot} */ now) {
    const page = JSON.stringify([now.label, now.side, now.status, now.page]);
    const known = now.items.findIndex((item) => item.path === current);
    if (known >= 0) place = known;
    else if (page !== drawnPage) place = Math.max(0, now.items.findIndex(undecided));
    else place = Math.min(place, now.items.length - 1);
    drawnPage = page;
    current = now.items[place]?.path ?? "";
  }

  /** Only the current card and its buttons are reached with Tab. */
  function drawTabs() {
    for (const [path, { card }] of cards) {
      const tabindex = path === current ? "0" : "-1";
      if (card.dataset.tab === tabindex) continue;
      card.dataset.tab = tabindex;
      for (const node of [card, ...card.querySelectorAll("button")]) node.setAttribute("tabindex", tabindex);
    }
  }

  /** Tests and benchmarks read `data-state`: everything of this page is drawn. */
  function markReady(/** @type {Snapshot} */ now) {
    const mine = (turn += 1);
    const images = [...grid.querySelectorAll("img")];
    const done = () => {
      if (mine === turn && !signal.aborted) root.dataset.state = "ready";
    };
    root.dataset.page = String(now.page);
    root.dataset.revision = String(now.revision);
    if (images.every((image) => image.complete)) return done();
    root.dataset.state = "loading";
    Promise.all(images.map((image) => image.decode().catch(() => {}))).then(done);
    return undefined;
  }

  /** @param {string} path @param {boolean} [scroll] */
  function focus(path, scroll = true) {
    const found = cards.get(path);
    if (!found) return;
    note(path);
    found.card.focus({ preventScroll: true });
    if (scroll) found.card.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} path that has the focus now */
  function note(path) {
    current = path;
    place = snapshot().items.findIndex((item) => item.path === path);
    drawTabs();
  }

  const columns = () => {
    const tops = snapshot().items.map((item) => cards.get(item.path)?.card.offsetTop);
    return Math.max(1, tops.filter((top) => top === tops[0]).length);
  };

  grid.addEventListener("focusin", (event) => {
    const card = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".sbx-card"));
    if (card && card.dataset.path !== current) note(card.dataset.path ?? "");
  }, { signal });

  return {
    hasFocus,
    focus,
    /** @param {boolean} [scroll] */
    focusCurrent: (scroll = true) => focus(current, scroll),
    /** @param {string} path */
    item: (path) => snapshot().items.find((one) => one.path === path),
    /** @param {string} path */
    card: (path) => cards.get(path)?.card,

    /** What changed about decisions, without the rest. */
    drawDecisions() {
      for (const item of snapshot().items) {
        cards.get(item.path)?.update(item, { pending: local.pending.get(item.path), error: local.errors.get(item.path) });
      }
    },

    /** Bring everything up to the snapshot. @param {boolean} wantFocus even if the focus was elsewhere */
    draw(wantFocus) {
      const now = snapshot();
      const had = hasFocus();
      bringCards(now);
      this.drawDecisions();
      chooseCurrent(now);
      drawTabs();
      if (wantFocus || (had && !hasFocus())) focus(current);
      markReady(now);
    },

    /** An arrow key, Home or End. @param {string} key */
    step(key) {
      const { items } = snapshot();
      const to = key === "Home" ? 0 : key === "End" ? items.length - 1 : moved(key, place, items.length, columns());
      if (items[to]) focus(items[to].path);
    },

    /** To the next undecided picture of the page; false when there is none. @param {string} path */
    focusNext(path) {
      const { items } = snapshot();
      const open = items.map((item) => undecided(item) && !local.pending.has(item.path));
      const next = nextOpen(items.findIndex((item) => item.path === path), open);
      focus(next < 0 ? path : items[next].path);
      return next >= 0;
    },
  };
}
