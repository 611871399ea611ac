// @ts-check
/**
 * The parts of the page: heading, card, answer, facts.
 *
 * @typedef {{label: string, probability: number, top: [string, number][], confidence: string, elapsed_ms: number,
 *   width_px: number, height_px: number, note: string}} Answer
 * @typedef {"loading" | "ready" | "working" | "done" | "error"} State
 */

import { element, fill, percent } from "./words.js";

const ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/avif";

/**
 * @param {Record<string, any>} about
 * @param {HTMLElement} root
 */
export function addHeading(about, root) {
  if (!about.title && !about.intro) return;
  const header = element("header", "sbx-header");
  if (about.title) header.append(element("h1", "sbx-title", about.title));
  if (about.intro) header.append(element("p", "sbx-intro", about.intro));
  root.append(header);
}

/**
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {HTMLElement} root
 */
export function addFacts(about, texts, root) {
  const footer = element("footer", "sbx-facts");
  for (const fact of about.facts ?? []) footer.append(element("p", "", fact));
  if (about.classes?.length) {
    const details = element("details", "sbx-classes");
    const more = about.classes_total - about.classes.length;
    details.append(element("summary", "", fill(texts.classes, { count: String(about.classes_total) })));
    const list = element("ul");
    for (const name of about.classes) list.append(element("li", "", name));
    if (more > 0) list.append(element("li", "sbx-more", fill(texts.more_classes, { count: String(more) })));
    details.append(list);
    footer.append(details);
  }
  if (footer.childElementCount) root.append(footer);
}

/** The framed picture over the button. Drawn, so that nothing has to be fetched. */
function drawIcon() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 48 48");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "sbx-icon");
  for (const path of ["M9 8h30a4 4 0 0 1 4 4v24a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4V12a4 4 0 0 1 4-4z",
                      "M5 34l10.5-11 9 9.500L32 25l11 11", "M30 17.500a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0z"]) {
    const stroke = document.createElementNS(space, "path");
    stroke.setAttribute("d", path);
    svg.append(stroke);
  }
  return svg;
}

/**
 * @param {Record<string, string>} texts
 * @param {HTMLElement} root
 */
export function addCard(texts, root) {
  const id = `sbx-file-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const drop = element("div", "sbx-drop");
  const input = element("input", "sbx-file", "", { type: "file", id, accept: ACCEPT });
  const label = element("label", "sbx-button", texts.choose, { for: id });
  const words = element("div", "sbx-drop-words");
  words.append(element("p", "sbx-hint", texts.hint), element("p", "sbx-kinds", texts.kinds));
  drop.append(drawIcon(), input, label, words);
  root.append(drop);
  return { drop, input, label };
}

/**
 * The three bars: a list that reads as text, the bars beside it only drawn.
 * @param {Answer} answer
 * @param {Record<string, string>} texts
 */
function createBars(answer, texts) {
  const list = element("ul", "sbx-bars", "", { "aria-label": texts.best, role: "list" });
  for (const [label, probability] of answer.top) {
    const share = percent(probability, texts);
    const row = element("li", "sbx-bar", "", { "aria-label": fill(texts.bar, { label, percent: share }) });
    const track = element("span", "sbx-track", "", { "aria-hidden": "true" });
    const bar = element("span", "sbx-fill");
    bar.style.width = `${Math.round(Math.min(1, Math.max(0, probability)) * 1000) / 10}%`;
    track.append(bar);
    row.append(element("span", "sbx-bar-label", label), element("span", "sbx-bar-percent", share), track);
    list.append(row);
  }
  return list;
}

/**
 * @param {Answer} answer
 * @param {string} url of the preview
 * @param {string} name of the file
 * @param {Record<string, string>} texts
 */
function createAnswer(answer, url, name, texts) {
  const figure = element("figure", "sbx-figure");
  const image = element("img", "sbx-preview", "", { src: url, alt: fill(texts.alt, { name }) });
  image.width = answer.width_px;
  image.height = answer.height_px;
  figure.append(image);
  const [first, second] = answer.top.map(([label]) => label);
  const words = element("div", "sbx-words");
  words.append(
    element("p", "sbx-confidence", fill(texts[answer.confidence] ?? "", { first, second })),
    element("h2", "sbx-label", answer.label),
    element("p", "sbx-number", fill(texts.sure_part, { percent: percent(answer.probability, texts) })),
    createBars(answer, texts),
  );
  if (answer.note) words.append(element("p", "sbx-note", answer.note));
  words.append(element("p", "sbx-took", fill(texts.took, { ms: String(Math.max(1, Math.round(answer.elapsed_ms))) })));
  return [figure, words];
}

/**
 * The status line and the place for the answer, and what can be done with them.
 * @param {HTMLElement} root
 * @param {HTMLElement | undefined} button
 * @param {Record<string, string>} texts
 */
export function createScreen(root, button, texts) {
  const status = element("p", "sbx-status", "", { role: "status", "aria-live": "polite" });
  const box = element("article", "sbx-answer", "", { "aria-label": texts.answer_region });
  /** @type {string | null} */
  let previewUrl = null;
  box.hidden = true;
  root.append(status, box);

  /** @param {State} state @param {string} sentence */
  function say(state, sentence) {
    root.dataset.state = state;
    status.textContent = sentence;
  }

  function clear() {
    box.replaceChildren();
    box.hidden = true;
    if (previewUrl) URL.revokeObjectURL(previewUrl);
    previewUrl = null;
  }

  /** @param {Answer} answer @param {DataView | undefined} preview @param {string} name */
  function show(answer, preview, name) {
    clear();
    previewUrl = URL.createObjectURL(new Blob(preview ? [/** @type {any} */ (preview)] : [], { type: "image/jpeg" }));
    box.replaceChildren(...createAnswer(answer, previewUrl, name, texts));
    box.hidden = false;
    if (button) button.textContent = texts.choose_another;
    say("done", fill(texts.done, { label: answer.label, percent: percent(answer.probability, texts) }));
  }

  return { say, clear, show };
}
