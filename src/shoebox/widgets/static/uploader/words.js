// @ts-check
/** Texts in the reader's language with their values filled in, and elements that hold them. Only ever set as text. */

/**
 * The texts in the first language of `wanted` that is there; else in the first that is there. `_code` names it.
 * @param {Record<string, Record<string, string>>} byLanguage
 * @param {readonly string[]} wanted such as navigator.languages
 * @returns {Record<string, string>}
 */
export function chooseTexts(byLanguage, wanted) {
  const codes = Object.keys(byLanguage);
  const found = (/** @type {string} */ code) => codes.find((known) => known.toLowerCase() === code.toLowerCase());
  const code = wanted.map((one) => found(one) ?? found(one.split("-")[0])).find(Boolean) ?? codes[0];
  return { ...byLanguage[code], _code: code };
}

/**
 * A text of the maker: one for all, or one for each language.
 * @param {string | Record<string, string> | undefined} words
 * @param {Record<string, string>} texts
 */
export function inLanguage(words, texts) {
  if (typeof words === "string" || !words) return words ?? "";
  return words[texts._code] ?? Object.values(words)[0] ?? "";
}

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
  const format = new Intl.NumberFormat(texts._code, { style: "percent", maximumFractionDigits: 0 });
  if (probability > 0.99 && probability < 1) return fill(texts.more_than, { percent: format.format(0.99) });
  if (probability < 0.01 && probability > 0) return fill(texts.less_than, { percent: format.format(0.01) });
  return format.format(probability);
}

/** @param {number} value @param {Record<string, string>} texts @param {Intl.NumberFormatOptions} [options] */
export const number = (value, texts, options) => new Intl.NumberFormat(texts._code, options).format(value);

/** "1 day", "15 min". @param {number} value @param {"day" | "minute"} unit @param {Record<string, string>} texts */
export const duration = (value, unit, texts) =>
  number(value, texts, { style: "unit", unit, unitDisplay: unit === "day" ? "long" : "short" });

/** @param {number} bytes @param {Record<string, string>} texts */
export function fileSize(bytes, texts) {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return number(value, texts, { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 });
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
