// @ts-check
/**
 * One answer: the picture with where the network looked, and the words beside it.
 *
 * @typedef {{number: number, hidden: boolean, width_px: number, height_px: number, label: string, probability: number,
 *   top: [string, number][], confidence: string, elapsed_ms: number, none: boolean, known: boolean | null,
 *   p_value: number | null, label_set: string[] | null, heat: [number, number] | null}} Answer
 * @typedef {import("./picture.js").Prepared} Prepared
 * @typedef {{name: string, answer: Answer | null, sentence: string, url: string, heat: DataView | null,
 *   sent: Prepared | null, nodes: HTMLElement[] | null}} Result
 */

import { element, fileSize, fill, number, percent } from "./words.js";

const HEAT_COLOUR = [255, 64, 0];
const HEAT_OPACITY = 0.7;

/** Whether the answer is that it is none of the classes: the kernel's word, as log and inbox have it. @param {Answer} answer */
export const isNone = (answer) => answer.none;

/**
 * That it is none of the classes, or that it is not sure to be any, in the words of the answer's heading.
 * @param {Answer} answer @param {Record<string, string>} texts
 */
export const noneWords = (answer, texts) => (answer.known === false ? texts.none_of_these : texts.set_empty);

/**
 * The picture, and a button that lays over it where the network looked.
 * @param {Result} result
 * @param {Record<string, string>} texts
 */
export function createFigure(result, texts) {
  const answer = /** @type {Answer} */ (result.answer);
  const figure = element("figure", "sbx-figure");
  const frame = element("div", "sbx-frame");
  const image = element("img", "sbx-preview", "", { src: result.url, alt: fill(texts.alt, { name: result.name }) });
  image.width = answer.width_px;
  image.height = answer.height_px;
  frame.append(image);
  figure.append(frame);
  if (answer.heat && result.heat) figure.append(createHeat(frame, result.heat, answer.heat, texts));
  return figure;
}

/**
 * @param {HTMLElement} frame
 * @param {DataView} values
 * @param {[number, number]} size
 * @param {Record<string, string>} texts
 */
function createHeat(frame, values, [width, height], texts) {
  const canvas = Object.assign(element("canvas", "sbx-heat", "", { "aria-hidden": "true" }), { width, height });
  const draw = () => {
    const pixels = new ImageData(width, height);
    for (let place = 0; place < Math.min(width * height, values.byteLength); place++) {
      pixels.data.set([...HEAT_COLOUR, values.getUint8(place) * HEAT_OPACITY], place * 4);
    }
    canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  };
  canvas.hidden = true;
  frame.append(canvas);
  const button = element("button", "sbx-quiet-button", texts.heat_show, { type: "button", "aria-pressed": "false" });
  let drawn = false;
  button.onclick = () => {
    if (!drawn) draw();
    drawn = true;
    canvas.hidden = !canvas.hidden;
    button.setAttribute("aria-pressed", String(!canvas.hidden));
    button.textContent = canvas.hidden ? texts.heat_show : texts.heat_hide;
  };
  return button;
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

/** @param {Answer} answer @param {Record<string, string>} texts */
function whyNone(answer, texts) {
  const share = answer.p_value === null ? "" : fill(texts.none_why_share, { percent: percent(answer.p_value, texts) });
  return answer.known === false ? `${texts.none_why} ${share}`.trim() : texts.set_empty;
}

/** @param {Answer} answer @param {Record<string, string>} texts */
function createVerdictWords(answer, texts) {
  const share = percent(answer.probability, texts);
  if (isNone(answer)) {
    return [element("h2", "sbx-label", noneWords(answer, texts)),
            element("p", "sbx-number", fill(texts.none_nearest, { label: answer.label, percent: share })),
            ...(answer.known === false ? [element("p", "sbx-note", whyNone(answer, texts))] : [])];
  }
  const [first, second] = answer.top.map(([label]) => label);
  const words = [element("p", "sbx-confidence", fill(texts[answer.confidence] ?? "", { first, second })),
                 element("h2", "sbx-label", answer.label),
                 element("p", "sbx-number", fill(texts.sure_part, { percent: share }))];
  if (answer.label_set && answer.label_set.length > 1) {
    words.push(element("p", "sbx-note", fill(texts.set_several, { labels: answer.label_set.join(", ") })));
  }
  return words;
}

/** What was done to the picture on its way. @param {Prepared | null} sent @param {Record<string, string>} texts */
function createRemarks(sent, texts) {
  const remarks = [];
  if (sent?.animated) remarks.push(texts.animated);
  if (sent?.from && sent.to) {
    const size = (/** @type {any} */ one) => `${number(one.width, texts)} × ${number(one.height, texts)}`;
    remarks.push(fill(texts.shrunk, { from: size(sent.from), from_size: fileSize(sent.from.bytes, texts),
                                      to: size(sent.to), to_size: fileSize(sent.to.bytes, texts) }));
  }
  return remarks.map((remark) => element("p", "sbx-took", remark));
}

/**
 * The words beside the picture.
 * @param {Result} result
 * @param {Record<string, string>} texts
 */
export function createWords(result, texts) {
  const answer = /** @type {Answer} */ (result.answer);
  const words = element("div", "sbx-words");
  if (!answer.hidden) words.append(...createVerdictWords(answer, texts), createBars(answer, texts));
  words.append(...createRemarks(result.sent, texts));
  if (!answer.hidden) {
    const ms = number(Math.max(1, Math.round(answer.elapsed_ms)), texts);
    words.append(element("p", "sbx-took", fill(texts.took, { ms })));
  }
  return words;
}
