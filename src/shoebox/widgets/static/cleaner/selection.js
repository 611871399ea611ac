// @ts-check
/**
 * Many at once: which pictures are selected, and the bar that decides about all of them.
 *
 * @typedef {import("./grid.js").Local} Local
 */

import { button, counted, element, holdsFocus, icon, words } from "./words.js";

/**
 * The bar, empty and hidden until something is selected.
 * @param {Local} local @param {() => void} changed
 * @param {() => void} leave gives the focus to a picture: with a button that vanishes it would go to the notebook
 */
export function createSelection(local, changed, leave) {
  const bar = element("div", "sbx-selection", "", { role: "toolbar", "aria-label": "Selected pictures" });
  const count = element("strong", "sbx-selected-count", "", { "aria-live": "polite" });
  bar.append(
    count,
    button("many_accept", "Accept the suggestion of each", [icon("relabel"), words("Accept")]),
    button("many_keep", "Keep the given label of each", [icon("keep"), words("Keep")]),
    button("many_other", "Give all of them one label …", [icon("other"), words("Label …")]),
    button("many_remove", "Remove all of them", [icon("remove"), words("Remove")]),
    button("many_unsure", "Mark all of them as unsure", [icon("unsure"), words("Unsure")]),
    button("many_clear", "Select nothing (Esc)", [words("Clear")]),
  );
  bar.hidden = true;
  let anchor = "";
  let seenUpTo = /** @type {number | null} */ (null);

  function draw() {
    const had = holdsFocus(bar);
    bar.hidden = local.selected.size === 0;
    if (had && bar.hidden) leave();
    count.textContent = `${counted(local.selected.size, "picture", "pictures")} selected`;
    changed();
  }

  return {
    bar, draw,
    get anchor() { return anchor; },
    /** Up to which line of the journal the person knows what stands. */
    get seenUpTo() { return seenUpTo; },

    /** @param {string} path */
    toggle(path) {
      anchor = path;
      if (!local.selected.delete(path)) local.selected.add(path);
      draw();
    },
    /** @param {string[]} paths @param {number} upTo */
    add(paths, upTo) {
      for (const path of paths) local.selected.add(path);
      seenUpTo = Math.min(seenUpTo ?? upTo, upTo);
      draw();
    },
    clear() {
      local.selected.clear();
      seenUpTo = null;
      anchor = "";
      draw();
    },
  };
}
