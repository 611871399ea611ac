// @ts-check
/**
 * The cards that exist: one for each picture in the window, dealt and left as the window moves.
 *
 * @typedef {import("./words.js").Item} Item
 */

import { createSpares } from "./spares.js";

/**
 * @param {ReturnType<typeof import("./pictures.js").createPictures>} pictures
 * @param {import("./grid.js").Local} local
 * @param {() => Element | null} active what has the focus
 */
export function createDeck(pictures, local, active) {
  /** @type {Map<number, ReturnType<typeof import("./card.js").createCard>>} */
  const cards = new Map(); // by the picture's place in the ranking
  const spares = createSpares();

  /** @param {(index: number) => boolean} which go */
  function leave(which) {
    const these = [...cards].filter(([index]) => which(index));
    these.forEach(([index]) => cards.delete(index));
    spares.leave(these.map(([, card]) => card), cards.size > 0, active());
  }

  return {
    leave,
    get size() { return cards.size; },
    all: () => [...cards.values()],
    /** @param {Item} item */
    card: (item) => cards.get(item.index),
    /** Its card, with the small picture as it is now. @param {Item} item */
    deal(item) {
      const thumbnail = pictures.has(item.image_id) ? item.image_id : "";
      const had = cards.get(item.index);
      const same = had?.card.dataset.path === item.path ? had : undefined;
      if (same?.thumbnail === thumbnail && same.says(item)) return same;
      if (had && !same) leave((index) => index === item.index);
      const card = same ?? spares.take(); // another order may say other things of the same picture at the same place
      cards.set(item.index, card);
      card.show(item, thumbnail);
      pictures.paint(thumbnail, card.canvas);
      return card;
    },
    /** @param {Item[]} items */
    update(items) {
      for (const item of items) {
        const card = cards.get(item.index);
        card?.update(item, { pending: local.pending.get(item.path), error: local.errors.get(item.path) });
        card?.mark(local.selected.has(item.path));
      }
    },
    /** Only the current card and its buttons are reached with Tab. @param {string} current */
    setTabs(current) {
      for (const { card, setTab } of cards.values()) setTab(card.dataset.path === current);
    },
    /** Off the page with the cards that no picture has taken. */
    clear: () => spares.clear(),
  };
}
