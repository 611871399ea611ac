// @ts-check
/** Texts with their values filled in, and elements that hold them. What somebody named is only ever set as text. */

/**
 * `text` with `{name}` replaced from `values`.
 * @param {string} text
 * @param {Record<string, string>} [values]
 */
export function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/**
 * A probability for people: never "100 %" or "0 %" for what is only nearly so.
 * @param {number} probability 0 to 1
 * @param {Record<string, string>} texts
 */
export function percent(probability, texts) {
  const format = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
  if (probability > 0.99 && probability < 1) return fill(texts.more_than, { percent: format.format(0.99) });
  if (probability < 0.01 && probability > 0) return fill(texts.less_than, { percent: format.format(0.01) });
  return format.format(probability);
}

/**
 * An element with class, text and attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
