// @ts-check
/** Where cards stand in a grid of which only the visible part exists: pure rules on numbers, in pixels. */

export const GAP_PX = 10;
const OVERSCAN_ROWS = 1;

/**
 * Columns that fit, and how wide each is.
 * @param {number} width
 * @param {number} least width of a card
 */
export function columnsOf(width, least) {
  const columns = Math.max(1, Math.floor((width + GAP_PX) / (least + GAP_PX)));
  return { columns, cell: Math.max(0, (width - GAP_PX * (columns - 1)) / columns) };
}

/**
 * The places from `first` up to, without, `last` whose rows touch the window, with a row more on each side.
 * @param {{top: number, height: number, row: number, columns: number, count: number}} window
 */
export function visiblePlaces({ top, height, row, columns, count }) {
  if (row <= 0 || count === 0) return { first: 0, last: 0 };
  const above = Math.max(0, Math.floor(top / row) - OVERSCAN_ROWS);
  const below = Math.max(above, Math.ceil((top + height) / row) + OVERSCAN_ROWS);
  return { first: Math.min(above * columns, Math.max(0, count - 1)), last: Math.min(count, below * columns) };
}

/** The pages that hold the places from `first` up to, without, `last`. @param {number} first @param {number} last @param {number} size */
export function pagesOf(first, last, size) {
  const pages = [];
  for (let page = Math.floor(first / size); page * size < last; page += 1) pages.push(page);
  return pages;
}

/**
 * The page that a person looks at when they have scrolled to `top`: that of the first place in the upper whole row.
 * @param {{top: number, row: number, columns: number, count: number, size: number}} window
 */
export function pageAt({ top, row, columns, count, size }) {
  if (row <= 0 || count === 0) return 0;
  const place = Math.min(Math.ceil(top / row - 0.5) * columns + columns - 1, count - 1);
  return Math.floor(Math.max(0, place) / size);
}

/**
 * How far to scroll so that a row is whole in the window; `top` itself when it is.
 * @param {{top: number, height: number, row: number, line: number}} window `line` is the row's number
 */
export function scrollFor({ top, height, row, line }) {
  const start = line * row;
  if (start < top) return start;
  return start + row > top + height ? Math.max(0, Math.min(start, start + row - height)) : top;
}
