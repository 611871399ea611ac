// @ts-check
/**
 * What all parts of the cleaner's page share: the shapes that come from the kernel, and how to make nodes and words.
 * Text from file names, class names and reasons only ever becomes `textContent` or an attribute.
 *
 * @typedef {"keep" | "relabel" | "remove" | "unsure"} Kind
 * @typedef {{index: number, path: string, image_id: string, given: string, suggestion: string,
 *   given_probability: number, suggested_probability: number, score: number, reason: string,
 *   side: "train" | "valid" | null, decision: Kind | null, decision_label: string | null, stale: boolean, seq: number,
 *   who: string, kind: string, kinds: string[], evidence: string[]}} Item
 * @typedef {{name: string, total: number, decided: number}} Share
 * @typedef {{total: number, shown: number, decided: number, keep: number, relabel: number, remove: number,
 *   unsure: number, stale: number, gone: number}} Counts
 * @typedef {{items: Item[], counts: Counts, classes: {label: string, total: number, decided: number}[],
 *   label: string | null, suggested: string | null, kind: string | null, source: string | null, side: string | null,
 *   status: string, page: number, pages: number, page_size: number, kinds: Share[], sources: Share[],
 *   found: {sentence: string} | null, revision: number, queue: number, order: number, line: number}} Snapshot
 * @typedef {{token: string, total: number, relabel: number, remove: number,
 *   classes: {label: string, before: number, after: number}[], moves: [string, string | null][],
 *   stale: string[], last_apply?: [string, number] | null}} Planned
 * @typedef {{sentence: string, moved: number, undone: boolean, failed: string[]}} Result
 * @typedef {{get(name: string): any, on(name: string, callback: (...args: any[]) => void): void,
 *   off(name: string, callback: (...args: any[]) => void): void, send(content: any): void}} Model
 */

/** Lines of 16 × 16 drawings, stroked. */
const ICONS = {
  keep: ["M3 8.500 6.500 12 13 4.500"],
  relabel: ["M2.500 8h10", "M8.500 3.500 13 8l-4.500 4.500"],
  remove: ["M3 4.500h10", "M6 4.500V3h4v1.500", "M4.500 4.500l.6 8.500h5.800l.6-8.500", "M6.800 7v3.500", "M9.200 7v3.500"],
  unsure: ["M5.500 6a2.500 2.500 0 1 1 3.600 2.200c-.8.400-1.100.9-1.100 1.800", "M8 12.500v.3"],
  other: ["M2.500 7.500v-5h5l6 6-5 5z", "M5.200 5.200v.1"],
  undo: ["M6 3 2.500 6.500 6 10", "M3 6.500h6.500a3.500 3.500 0 0 1 0 7H6"],
  redo: ["M10 3 13.500 6.500 10 10", "M13 6.500H6.500a3.500 3.500 0 0 0 0 7H10"],
  select: ["M3 3h10v10H3z", "M5.500 8l2 2 3.500-4"],
  close_look: ["M7 2.500a4.500 4.500 0 1 0 .1 0z", "M10.300 10.300 13.500 13.500"],
  overview: ["M2.500 2.500h11v11h-11z", "M2.500 6.200h11", "M2.500 9.800h11", "M6.200 2.500v11", "M9.800 2.500v11"],
  apply: ["M2.500 4.500v8h11v-6.500h-5.500l-1.500-1.500z", "M6 9.200h4", "M8.500 7.500 10.200 9.200 8.500 11"],
  previous: ["M10 3 5 8l5 5"],
  next: ["M6 3l5 5-5 5"],
  warning: ["M8 2.500 14.500 13.500h-13z", "M8 6.500v3.500", "M8 11.800v.1"],
};
export const WORDS = { keep: "keep", relabel: "relabel", remove: "remove", unsure: "unsure" };

/** What speaks against a picture, in words. @type {Record<string, string>} */
const KIND_WORDS = {
  label: "label", conflict: "two labels", outlier: "outlier", near_duplicate: "duplicate", unreadable: "unreadable",
  dark: "dark", light: "overexposed", blurry: "blurry", low_information: "nearly empty", tiny: "tiny",
  odd_size: "odd size", odd_aspect: "odd shape",
};

/** @param {string} kind */
export const kindWords = (kind) => KIND_WORDS[kind] ?? kind.replaceAll("_", " ");

/** @param {number} value */
export const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** @param {number} probability */
export function percent(probability) {
  if (probability > 0.99 && probability < 1) return ">\u202f99\u202f%";
  if (probability > 0 && probability < 0.01) return "<\u202f1\u202f%";
  return `${Math.round(probability * 100)}\u202f%`;
}

/** @param {number} count @param {string} one @param {string} many */
export const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

/** @param {string} path */
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {string} [text]
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/**
 * As `textContent`, but a text that is there is changed and not made anew: that is less for the browser to tidy up.
 * @param {Element} node @param {string} text
 */
export function write(node, text) {
  const [only, ...more] = node.childNodes;
  if (text && only instanceof Text && !more.length) {
    if (only.data !== text) only.data = text;
  } else node.textContent = text;
}

/** Drawn once and then copied: a page has hundreds of them. @type {Map<string, SVGSVGElement>} */
const DRAWN = new Map();

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const drawn = DRAWN.get(name) ?? drawIcon(name);
  DRAWN.set(name, drawn);
  return drawn.cloneNode(true);
}

/** @param {keyof typeof ICONS} name */
function drawIcon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "sbx-icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name].join(""));
  svg.append(path);
  return svg;
}

/**
 * @param {string} action
 * @param {string} name read aloud and shown as tooltip
 * @param {Node[]} content
 * @param {string} [className]
 */
export function button(action, name, content, className = "") {
  const node = element("button", `sbx-button ${className}`.trim(), "", { type: "button", "data-action": action, title: name });
  if (!content.some((part) => part.nodeType === Node.TEXT_NODE)) node.setAttribute("aria-label", name);
  node.append(...content);
  return node;
}

/** @param {string} text */
export const words = (text) => document.createTextNode(text);

/** A label in any script, cut with an ellipsis where there is no room. @param {string} label @param {string} className */
export const labelled = (label, className) => element("bdi", className, label, { title: label });

/** Whether the model would leave the picture where it is, or says nothing. @param {Item} item */
export const agrees = (item) => item.suggestion === "" || item.suggestion === item.given;

/** @param {Item} item */
export const undecided = (item) => item.decision === null || item.stale;

/** Whether the focus is in it. @param {HTMLElement} node */
export const holdsFocus = (node) => node.contains(/** @type {Document | ShadowRoot} */ (node.getRootNode()).activeElement);

/** A time in UTC as this place writes it. @param {string} at */
export const moment = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
