// @ts-check
/** Cards that have no picture just now: a walk through thousands of pictures makes no new ones. */

import { createCard } from "./card.js";

const MOST = 100;

export function createSpares() {
  /** @type {ReturnType<typeof createCard>[]} */
  const spare = [];
  return {
    take: () => spare.shift() ?? createCard(),
    /**
     * Cards for the next pictures. Where none stays they keep their places on the page, in order: to take thirty cards
     * off and put them back is the dearest part of a jump. Else they go, so that those that stay need not move.
     * @param {ReturnType<typeof createCard>[]} these @param {boolean} someStay @param {Element | null} active the focus
     *   stays with its picture, and does not go to another one
     */
    leave(these, someStay, active) {
      these.sort((a, b) => (a.row.compareDocumentPosition(b.row) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
      for (const { row, setTab } of these) {
        setTab(false);
        if (someStay || row.contains(active)) row.remove();
      }
      spare.unshift(...these);
      spare.splice(MOST).forEach((card) => card.row.remove());
    },
    /** Off the page with what no picture has taken. */
    clear: () => spare.forEach((card) => card.row.remove()),
  };
}
