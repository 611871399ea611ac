// @ts-check
/**
 * The pictures near the place where a person looks: pages of the queue, with their thumbnails.
 * Pages far away are forgotten, so that a walk through 50,000 pictures needs no more memory than one page does.
 *
 * @typedef {import("./words.js").Item} Item
 * @typedef {import("./words.js").Snapshot} Snapshot
 */

const NEAR_PAGES = 3; // kept on each side of those that are looked at
const DECIDING_MS = 700; // without a decision, before pages that are only old are asked for again

/**
 * @param {(kind: string, fields: Record<string, any>) => Promise<any>} ask
 * @param {ReturnType<typeof import("./pictures.js").createPictures>} pictures
 * @param {(page: number) => void} changed called when pictures have come
 * @param {() => void} settled called when nothing more is wanted
 * @param {AbortSignal} signal
 */
export function createPages(ask, pictures, changed, settled, signal) {
  /** @type {Map<number, {items: Item[], fresh: boolean}>} */
  const pages = new Map();
  let queue = -1;
  let revision = -1;
  let size = 1;
  let looking = false;
  let era = 0; // grows when another queue begins
  let resting = 0; // the timer, as long as decisions follow one another
  /** @type {number[]} */
  let wanted = [];

  /** @param {number} page @param {Item[]} items @param {(DataView | undefined)[]} bytes @param {boolean} fresh */
  function store(page, items, bytes, fresh) {
    items.forEach((item, order) => pictures.add(item.image_id, bytes[order]));
    pages.set(page, { items, fresh });
  }

  /** @param {Item[]} items */
  const drawable = (items) => items.every((item) => pictures.has(item.image_id));

  /** The image ids of what is here of these pages. @param {number} first @param {number} last */
  const ids = (first, last) => [...pages].flatMap(([page, { items }]) => (page < first || page > last ? [] : items.map((item) => item.image_id)));

  function forget() {
    const low = Math.min(...wanted) - NEAR_PAGES;
    const high = Math.max(...wanted) + NEAR_PAGES;
    for (const page of [...pages.keys()]) if (page < low || page > high) pages.delete(page);
    pictures.keep("pages", ids(low, high));
  }

  /**
   * One request at a time: whoever scrolls fast gets the pages where they stop, not all on the way. What is not here
   * comes before what is only old: whoever decides fast makes all pages old with each key, and must not come to the
   * end of a page before the next one is here.
   */
  async function fetchNext() {
    const page = wanted.find((one) => !pages.has(one)) ?? (resting ? undefined : wanted.find((one) => !pages.get(one)?.fresh));
    if (looking || signal.aborted) return;
    if (page === undefined) return resting ? undefined : settled();
    looking = true;
    const own = era;
    const known = pages.has(page) && drawable(pages.get(page)?.items ?? []);
    let again = true;
    try {
      const reply = await ask("look", { page, pictures: !known });
      if (own !== era) return; // of the queue before
      again = reply.queue === queue; // else the news of another queue is on its way
      store(page, reply.items, reply.buffers, again && (!known || drawable(reply.items)));
      forget();
      changed(page);
    } catch {
      wanted = wanted.filter((one) => one !== page); // a silent kernel is told where something was asked for
    } finally {
      looking = false;
      if (again) fetchNext();
    }
  }

  /** Decisions follow one another: what they change has come with the answers. */
  function rest() {
    clearTimeout(resting);
    resting = setTimeout(() => {
      resting = 0;
      fetchNext();
    }, DECIDING_MS);
  }
  signal.addEventListener("abort", () => clearTimeout(resting));

  return {
    /** The image ids of what is looked at and of the pages beside it. */
    near: () => ids(Math.min(...wanted) - 1, Math.max(...wanted) + 1),
    /** What the kernel says of the page that it knows. @param {Snapshot} now @param {Record<string, DataView>} thumbnails */
    take(now, thumbnails) {
      size = now.page_size;
      if (now.queue !== queue || now.revision !== revision) for (const page of pages.values()) page.fresh = false;
      if (now.queue === queue && now.revision !== revision) rest();
      if (now.queue !== queue) for (const page of pages.keys()) if (page >= now.pages) pages.delete(page);
      ({ queue, revision } = now);
      store(now.page, now.items, now.items.map((item) => thumbnails[item.path]), true);
    },
    /** Pictures as they stand now, wherever they are. @param {Item[]} rows */
    renew(rows) {
      const news = new Map(rows.map((row) => [row.path, row]));
      for (const page of pages.values()) page.items = page.items.map((item) => news.get(item.path) ?? item);
    },
    /** A new queue begins: nothing of the old one is shown any more. */
    clear() {
      pages.clear();
      era += 1;
    },
    /** @param {number} place in the queue @returns {Item | undefined} */
    item: (place) => pages.get(Math.floor(place / size))?.items[place % size],
    /** Where a picture stands among those that are here; -1 when it is not. @param {string} path */
    placeOf(path) {
      for (const [page, { items }] of pages) {
        const order = items.findIndex((item) => item.path === path);
        if (order >= 0) return page * size + order;
      }
      return -1;
    },
    /** Fetch these pages as soon as may be, the first first. @param {number[]} these */
    want(these) {
      wanted = these;
      fetchNext();
    },
  };
}
