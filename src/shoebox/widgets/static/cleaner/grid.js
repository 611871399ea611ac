// @ts-check
/**
 * The grid: which cards there are, where they stand, which of them has the focus, and where the focus goes.
 * Of thousands of pictures only those in the window exist; the kernel's page follows the person who scrolls.
 *
 * @typedef {import("./words.js").Item} Item
 * @typedef {import("./words.js").Kind} Kind
 * @typedef {import("./words.js").Snapshot} Snapshot
 * @typedef {{pending: Map<string, {kind: string, label: string | null}>, errors: Map<string, string>,
 *   selected: Set<string>}} Local decisions on their way to the kernel, those that did not arrive, and what is selected
 */

import { createDeck } from "./deck.js";
import { moved, nextOpen } from "./keys.js";
import { GAP_PX, columnsOf, pageAt, pagesOf, scrollFor, visiblePlaces } from "./layout.js";
import { createPages } from "./pages.js";
import { createStrips } from "./strips.js";
import { viewOf } from "./views.js";
import { undecided } from "./words.js";

const PAGE_FOLLOWS_MS = 200; // after the last scroll
const PAUSE_MS = 120; // on a window, before what is not seen in it is fetched: who scrolls past needs none of it

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} grid
 * @param {{snapshot: () => Snapshot, thumbnails: () => Record<string, DataView>,
 *   pictures: ReturnType<typeof import("./pictures.js").createPictures>}} source
 * @param {Local} local
 * @param {(kind: string, fields?: Record<string, any>) => Promise<any>} ask
 * @param {{turned: (page: number) => void, follow: (page: number) => void, settled: () => void, arrived: () => void}} tell which
 *   page a person looks at: the frame at once, the kernel a little later; when all that is near is here; and when the
 *   picture is here that was waited for
 * @param {AbortSignal} signal
 */
export function createGrid(root, grid, { snapshot, thumbnails, pictures }, local, ask, { turned, follow, settled, arrived }, signal) {
  const space = grid.appendChild(document.createElement("div"));
  space.className = "sbx-space";
  space.setAttribute("role", "presentation");
  const came = (/** @type {number} */ one) => (visiblePages().includes(one) ? drawWindow() : pictures.open(pages.near()));
  const pages = createPages(ask, pictures, came, () => root.dataset.state === "ready" && settled(), signal);
  const strips = createStrips(ask, signal);
  const deck = createDeck(pictures, local, () => active());
  let current = ""; // path of the card that has, or would get, the focus
  let place = 0; // and where it stands in the queue
  let page = 0; // that a person looks at
  let drawnView = "";
  let columns = 1;
  let cell = 150;
  let row = 280;
  let wanted = -1; // place to focus as soon as its picture is here
  let left = 0; // how many come from there on: what is decided may leave the queue, and all others move up
  let decided = ""; // the picture whose decision led there: then on to the next undecided one, as from that picture
  let timer = 0;
  let resting = 0;
  let turn = 0;
  let seenFrom = { top: 0, height: 0 }; // the window; asking the page for it costs a layout
  /** @type {number[]} */
  let shown = []; // the places whose cards exist

  const count = () => snapshot().counts.shown;
  const active = () => /** @type {Document | ShadowRoot} */ (root.getRootNode()).activeElement;
  const hasFocus = () => grid.contains(active());
  const waitAt = (/** @type {number} */ to, /** @type {string} */ after) => { [wanted, left, decided] = [to, count() - to, after]; };
  const stopWaiting = () => waitAt(-1, "");
  const cardOf = (/** @type {string} */ path) => {
    const item = pages.item(pages.placeOf(path));
    return item && deck.card(item);
  };

  /** Width and height of a card decide where all of them stand. */
  function measure() {
    const style = getComputedStyle(grid);
    const inner = grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    ({ columns, cell } = columnsOf(inner, parseFloat(style.getPropertyValue("--sbx-card-width")) || 150));
    row = (parseFloat(style.getPropertyValue("--sbx-card-height")) || 270) + GAP_PX;
    space.style.height = `${Math.max(0, Math.ceil(count() / columns) * row - GAP_PX)}px`;
  }

  const lookAgain = () => { seenFrom = { top: grid.scrollTop, height: grid.clientHeight }; };

  /** The places whose cards have to exist now. */
  function places() {
    const { first, last } = visiblePlaces({ ...seenFrom, row, columns, count: count() });
    const found = [];
    for (let one = first; one < last; one += 1) found.push(one);
    if (hasFocus() && place < count() && (place < first || place >= last)) found.push(place); // the focus is never lost
    return found;
  }

  /** Those of the pictures in the window, the one that a person looks at first. */
  function visiblePages() {
    const looked = shown.length ? pagesOf(Math.min(...shown), Math.max(...shown) + 1, snapshot().page_size) : [];
    return [...new Set([page, ...looked])].filter((one) => one >= 0 && one < snapshot().pages);
  }

  function drawWindow() {
    if (signal.aborted) return;
    const had = hasFocus();
    shown = places();
    const { revision } = snapshot();
    const items = shown.map((one) => ({ one, item: pages.item(one) }));
    const wished = new Set(items.map(({ item }) => item?.index));
    deck.leave((index) => !wished.has(index));
    items.forEach(({ one, item }, order) => {
      if (!item || !wished.delete(item.index)) return;
      const { row: box } = deck.deal(item);
      stand(box, one);
      box.setAttribute("aria-rowindex", String(one + 1));
      if (space.children[order] !== box) space.insertBefore(box, space.children[order] ?? null);
    });
    if (items.some(({ item }) => item)) deck.clear();
    drawDecisions();
    deck.setTabs(current);
    // Never to the notebook, where the next key would mean something else
    if (had && !hasFocus()) (cardOf(current)?.card ?? grid).focus({ preventScroll: true });
    if (shown.includes(wanted) && pages.item(wanted)) arrive(/** @type {Item} */ (pages.item(wanted)));
    pages.want(visiblePages());
    markReady(revision);
  }

  /** @param {HTMLElement} node @param {number} one */
  function stand(node, one) {
    node.style.width = `${cell}px`;
    node.style.left = `${(one % columns) * (cell + GAP_PX)}px`; // no transform: see grid.css
    node.style.top = `${Math.floor(one / columns) * row}px`;
  }

  function drawDecisions() {
    deck.update(shown.flatMap((one) => pages.item(one) ?? []));
  }

  /** The card that was current stays so; else the first undecided one of a new page, or the one that took its place. */
  function chooseCurrent(/** @type {Snapshot} */ now, /** @type {boolean} */ fresh) {
    const known = pages.placeOf(current);
    const start = now.page * now.page_size;
    if (known >= 0 && (!fresh || hasFocus())) place = known;
    else if (fresh) place = start + Math.max(0, now.items.findIndex(undecided));
    else place = Math.max(0, Math.min(place, count() - 1));
    current = pages.item(place)?.path ?? "";
  }

  /** Tests and benchmarks read `data-state`: everything in the window is drawn. */
  function markReady(/** @type {number} */ revision) {
    const mine = (turn += 1);
    const items = shown.map((one) => pages.item(one));
    const missing = items.some((item) => !item);
    const opening = pictures.opening(items.flatMap((item) => item?.image_id ?? []));
    const done = () => {
      if (mine !== turn || signal.aborted) return;
      root.dataset.state = "ready";
      resting ||= window.setTimeout(lookAround, PAUSE_MS);
    };
    root.dataset.page = String(page);
    root.dataset.revision = String(revision);
    if (!missing && opening.length === 0) return done();
    root.dataset.state = "loading";
    if (!missing) Promise.all(opening).then(done);
    return undefined;
  }

  function lookAround() {
    resting = 0;
    if (root.dataset.state !== "ready") return; // it begins anew when the window is drawn
    strips.fillSoon(deck.all);
    pictures.open(pages.near());
    const last = snapshot().pages - 1;
    pages.want([...new Set([...visiblePages(), Math.min(page + 1, last), Math.max(page - 1, 0)])]);
  }

  /** @param {number} top */
  function scrollTo(top) {
    if (Math.abs(top - seenFrom.top) < 1 && seenFrom.height) return;
    grid.scrollTop = top;
    lookAgain();
  }

  /** Give a picture the turn, and the focus too if it may `take` it. @param {string} path @param {boolean} [scroll] @param {boolean} [take] */
  function focus(path, scroll = true, take = true) {
    const at = pages.placeOf(path);
    if (at < 0) return;
    note(path, at);
    if (scroll) scrollTo(scrollFor({ ...seenFrom, row, line: Math.floor(at / columns) }));
    if (!shown.includes(at)) drawWindow();
    const card = cardOf(path)?.card;
    if (take) (card ?? grid).focus({ preventScroll: true });
    if (scroll) card?.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} path that has the turn now, and no other is waited for @param {number} at */
  function note(path, at) {
    stopWaiting();
    current = path;
    place = at;
    const own = Math.floor(at / snapshot().page_size);
    if (own !== page) lookAt(own);
    deck.setTabs(current);
  }

  /** Go to a place whose picture is not here yet. @param {number} to @param {string} after the picture just decided */
  function waitFor(to, after) {
    place = to;
    waitAt(to, after);
    lookAt(Math.floor(to / snapshot().page_size));
    scrollTo(scrollFor({ ...seenFrom, row, line: Math.floor(to / columns) }));
    drawWindow();
  }

  /** What was waited for is here; who went elsewhere meanwhile is left there. @param {Item} item */
  function arrive(item) {
    const after = decided;
    if (pages.placeOf(after) >= 0) focusNext(after, hasFocus(), false);
    else focus(item.path, hasFocus(), hasFocus());
    arrived();
  }

  /** @param {Item | undefined} item */
  const isOpen = (item) => item !== undefined && undecided(item) && !local.pending.has(item.path);

  /**
   * To the next undecided picture, also on the next page, which may have to come first. False when there is none.
   * @param {string} path @param {boolean} [take] the focus and the window @param {boolean} [wait]
   */
  function focusNext(path, take = true, wait = true) {
    const from = pages.placeOf(path);
    const { page_size: size } = snapshot();
    const start = Math.floor(from / size) * size;
    let next = from + 1;
    while (pages.item(next) && !isOpen(pages.item(next))) next += 1;
    if (wait && from >= 0 && next === start + size && next < count() && !pages.item(next)) {
      waitFor(next, path);
      return true;
    }
    if (!pages.item(next)) next = start + nextOpen(from - start, Array.from({ length: from - start + 1 }, (_, order) => isOpen(pages.item(start + order))));
    focus(next < start ? path : /** @type {Item} */ (pages.item(next)).path, take, take);
    return next >= start;
  }

  /** @param {number} to the page that a person looks at */
  function lookAt(to) {
    page = to;
    root.dataset.page = String(page);
    turned(page);
    clearTimeout(timer);
    timer = window.setTimeout(() => page !== snapshot().page && follow(page), PAGE_FOLLOWS_MS);
  }

  grid.addEventListener("focusin", (event) => {
    const card = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".sbx-card"));
    const path = card?.dataset.path ?? "";
    if (card && path !== current) note(path, pages.placeOf(path));
  }, { signal });
  grid.addEventListener("scroll", () => {
    const before = seenFrom.top;
    lookAgain();
    if (seenFrom.top === before) return; // a scroll of our own, drawn already
    if (wanted >= 0) place = Math.max(0, pages.placeOf(current));
    stopWaiting();
    strips.leave();
    resting = clearTimeout(resting) ?? 0;
    const now = pageAt({ top: seenFrom.top, row, columns, count: count(), size: snapshot().page_size });
    if (now !== page) lookAt(now);
    drawWindow();
  }, { signal, passive: true });
  const observer = new ResizeObserver(() => {
    const top = seenFrom.height && deck.size ? Math.floor(seenFrom.top / row) * columns : 0;
    measure();
    lookAgain();
    scrollTo(Math.floor((top || page * snapshot().page_size) / columns) * row);
    drawWindow();
  });
  observer.observe(grid);
  signal.addEventListener("abort", () => observer.disconnect());
  signal.addEventListener("abort", () => [timer, resting].forEach((one) => clearTimeout(one)));

  return {
    hasFocus,
    isTyping: () => active()?.matches("input") ?? false, // beside the grid: its focus is not to be taken
    focus,
    focusNext,
    /** The next picture is on its way: keys on the current one are meant for that. */
    get isWaiting() { return wanted >= 0; },
    get page() { return page; },
    get isUntouched() { return page === 0 && grid.scrollTop === 0 && !grid.matches(":hover"); },
    get currentPath() { return current; },
    /** @param {boolean} [scroll] */
    focusCurrent: (scroll = true) => focus(current, scroll),
    /** @param {string} path */
    item: (path) => pages.item(pages.placeOf(path)),
    /** @param {string} path */
    card: (path) => cardOf(path)?.card,
    drawDecisions,
    renew: pages.renew,
    /** @param {string} path */
    url: (path) => pictures.url(pages.item(pages.placeOf(path))?.image_id ?? ""),

    /** Bring everything up to the snapshot. @param {boolean} wantFocus even if the focus was elsewhere */
    draw(wantFocus) {
      const now = snapshot();
      const had = hasFocus();
      const view = `${viewOf(now)} ${now.order}`;
      const fresh = view !== drawnView;
      if (fresh) pages.clear();
      pages.take(now, thumbnails());
      if (fresh) stopWaiting();
      if (wanted >= 0) wanted = Math.max(-1, count() - left);
      if (wanted >= 0 && pages.placeOf(current) < 0) place = wanted;
      root.classList.toggle("sbx-with-strips", root.classList.contains("sbx-with-strips") || now.items.some((item) => item.evidence.length > 0));
      measure();
      lookAgain();
      if (fresh) {
        page = now.page;
        scrollTo(Math.floor((page * now.page_size) / columns) * row);
      }
      drawnView = view;
      chooseCurrent(now, fresh);
      drawWindow();
      if (wantFocus || (had && !hasFocus())) focus(current, wantFocus);
    },

    /** Turn to a page: its first row comes to the top. @param {number} to @param {boolean} keepFocus */
    turnTo(to, keepFocus) {
      stopWaiting();
      const { page_size: size } = snapshot();
      const start = to * size;
      page = to;
      lookAt(to);
      place = start;
      scrollTo(Math.floor(start / columns) * row);
      const items = Array.from({ length: size }, (_, order) => pages.item(start + order));
      const first = items.findIndex((item) => item && undecided(item));
      place = start + Math.max(0, first);
      current = pages.item(place)?.path ?? "";
      if (keepFocus && !current) waitAt(place, ""); // until it is here
      drawWindow();
      if (keepFocus && current) focus(current, false);
      return items.some(Boolean);
    },

    /** An arrow key, Home or End. @param {string} key */
    step(key) {
      const last = count() - 1;
      const to = key === "Home" ? 0 : key === "End" ? last : moved(key, place, count(), columns);
      const item = pages.item(to);
      if (item) return focus(item.path);
      return waitFor(to, "");
    },
  };
}
