// @ts-check
/**
 * The visitor's card: choose, drop or paste a picture; read the answer.
 *
 * The kernel is asked by requests with `kind` and `id`, and every request has a time-out. What a person or a model
 * named is only ever set as text. All listeners, timers and object URLs end with one AbortController.
 *
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *   off(name: string, callback: Function): void,
 *   send(content: any, callbacks?: any, buffers?: ArrayBuffer[]): void}} Model
 * @typedef {{id: string, ok: boolean, error?: string, [field: string]: any}} Reply
 * @typedef {{reply: Reply, buffers: DataView[]}} Answered
 * @typedef {{label: string, probability: number, top: [string, number][], confidence: string, elapsed_ms: number,
 *   width_px: number, height_px: number, note: string}} Answer
 * @typedef {"loading" | "ready" | "working" | "done" | "error"} State
 */

const ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/avif";
const JPEG_QUALITY = 0.92;
const HELLO_EVERY_MS = 1000;
const HELLO_FOR_MS = 20000;

/** A sentence for the person. */
class Sentence extends Error {}

/** No reply in time. */
class Silence extends Error {}

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
 * Width and height so that the longer side is at most `side`.
 * @param {number} width
 * @param {number} height
 * @param {number} side
 */
export function fit(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
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
function element(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/**
 * Requests to the kernel, each with its own time-out.
 * @param {Model} model
 * @param {AbortSignal} signal
 */
function createLine(model, signal) {
  const prefix = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");
  /** @type {Map<string, (answered: Answered) => void>} */
  const waiting = new Map();
  let count = 0;

  /** @param {Reply} reply @param {DataView[]} buffers */
  const onMessage = (reply, buffers) => waiting.get(reply?.id)?.({ reply, buffers });
  model.on("msg:custom", onMessage);
  signal.addEventListener("abort", () => model.off("msg:custom", onMessage));

  /**
   * @param {string} kind
   * @param {Record<string, any>} fields
   * @param {ArrayBuffer[]} buffers
   * @param {number} timeout_ms
   * @returns {Promise<Answered>}
   */
  return function ask(kind, fields, buffers, timeout_ms) {
    const id = `${prefix}-${++count}`;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        waiting.delete(id);
        signal.removeEventListener("abort", end);
      };
      const timer = setTimeout(() => { end(); reject(new Silence(kind)); }, timeout_ms);
      signal.addEventListener("abort", end);
      waiting.set(id, (answered) => {
        end();
        if (answered.reply.ok) resolve(answered);
        else reject(new Sentence(answered.reply.error));
      });
      model.send({ kind, id, ...fields }, undefined, buffers);
    });
  };
}

/**
 * Ask for a sign of life until one comes; messages sent before the kernel listens are lost.
 * @param {ReturnType<typeof createLine>} ask
 * @param {AbortSignal} signal
 */
async function shakeHands(ask, signal) {
  for (let waited = 0; waited < HELLO_FOR_MS && !signal.aborted; waited += HELLO_EVERY_MS) {
    try {
      return await ask("hello", {}, [], HELLO_EVERY_MS);
    } catch (error) {
      if (!(error instanceof Silence)) throw error;
    }
  }
  throw new Silence("hello");
}

/**
 * The bytes to send: the file as it is when it is small, else a smaller JPEG of it, upright.
 * @param {File} file
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @returns {Promise<ArrayBuffer>}
 */
async function prepare(file, limits, texts) {
  if (file.size === 0) throw new Sentence(texts.empty);
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  try {
    const large = bitmap && Math.max(bitmap.width, bitmap.height) > limits.shrink_over_px;
    const smaller = bitmap && (large || file.size > limits.shrink_over_bytes) ? await shrink(bitmap, limits.side_px) : null;
    if (smaller) return await smaller.arrayBuffer();
    if (file.size > limits.max_bytes) throw new Sentence(texts.not_opened);
    return await file.arrayBuffer();
  } finally {
    bitmap?.close();
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} side
 * @returns {Promise<Blob | null>}
 */
function shrink(bitmap, side) {
  const { width, height } = fit(bitmap.width, bitmap.height, side);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  if (!context) return Promise.resolve(null);
  context.fillStyle = "white"; // what is transparent becomes white, as in the kernel
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}

/**
 * @param {Record<string, any>} about
 * @param {HTMLElement} root
 */
function addHeading(about, root) {
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
function addFacts(about, texts, root) {
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
function addCard(texts, root) {
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
 * The first picture file of a drop or a paste, or null.
 * @param {DataTransfer | null} data
 */
const firstFile = (data) => data?.files?.[0] ?? null;

/**
 * Choose, drop and paste.
 * @param {{root: HTMLElement, drop: HTMLElement, input: HTMLInputElement}} parts
 * @param {(file: File | null, count: number) => void} take
 * @param {AbortSignal} signal
 */
function listen({ root, drop, input }, take, signal) {
  const options = { signal };
  // Under Voila the page is ours: a file dropped beside the card must not navigate away and end the kernel.
  const ground = document.body.dataset.voila ? document.documentElement : root;
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const mark = (/** @type {boolean} */ over) => drop.toggleAttribute("data-over", over);

  input.addEventListener("change", () => {
    const files = Array.from(input.files ?? []);
    input.value = ""; // so that the same file can be chosen again
    if (files.length) take(files[0], files.length);
  }, options);
  ground.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(true);
  }, options);
  ground.addEventListener("dragleave", (event) => {
    if (!ground.contains(/** @type {Node | null} */ (event.relatedTarget))) mark(false);
  }, options);
  ground.addEventListener("drop", (event) => {
    mark(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(firstFile(event.dataTransfer), event.dataTransfer?.files.length ?? 0);
  }, options);
  document.addEventListener("paste", (event) => {
    const target = /** @type {HTMLElement | null} */ (event.target);
    const typing = target?.isContentEditable || ["TEXTAREA"].includes(target?.tagName ?? "");
    const file = firstFile(event.clipboardData);
    if (!file || typing || root.offsetParent === null) return;
    event.preventDefault();
    take(file, event.clipboardData?.files.length ?? 1);
  }, options);
}

/**
 * @param {{model: Model, el: HTMLElement}} context
 */
function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;
  const texts = model.get("texts");
  const limits = model.get("limits");
  const about = model.get("about");
  const problem = model.get("problem");

  const root = element("section", "sbx-app");
  const status = element("p", "sbx-status", "", { role: "status", "aria-live": "polite" });
  const answerBox = element("article", "sbx-answer", "", { "aria-label": texts.answer_region });
  /** @type {string | null} */
  let previewUrl = null;
  let turn = 0;

  /** @param {State} state @param {string} sentence */
  function say(state, sentence) {
    root.dataset.state = state;
    status.textContent = sentence;
  }

  function clear() {
    answerBox.replaceChildren();
    answerBox.hidden = true;
    if (previewUrl) URL.revokeObjectURL(previewUrl);
    previewUrl = null;
  }

  addHeading(about, root);
  el.append(root);
  if (problem) {
    root.append(status);
    say("error", problem);
    return () => controller.abort();
  }

  const { drop, input, label } = addCard(texts, root);
  root.append(status, answerBox);
  addFacts(about, texts, root);
  clear();
  say("loading", texts.loading);
  const ask = createLine(model, signal);

  /** @param {Answer} answer @param {DataView | undefined} preview @param {string} name */
  function show(answer, preview, name) {
    previewUrl = URL.createObjectURL(new Blob(preview ? [/** @type {any} */ (preview)] : [], { type: "image/jpeg" }));
    answerBox.replaceChildren(...createAnswer(answer, previewUrl, name, texts));
    answerBox.hidden = false;
    label.textContent = texts.choose_another;
    say("done", fill(texts.done, { label: answer.label, percent: percent(answer.probability, texts) }));
  }

  /** @param {unknown} error @param {string} silence */
  const sentenceOf = (error, silence) => (error instanceof Sentence ? error.message : silence);

  /** @param {File} file @param {() => boolean} current @param {string} remark */
  async function answerFor(file, current, remark) {
    await ask("ping", {}, [], limits.ping_timeout_ms).catch(() => { throw new Sentence(texts.no_answer); });
    const bytes = await prepare(file, limits, texts);
    if (!current()) return;
    say("working", `${texts.sending}${remark}`);
    const { reply, buffers } = await ask("picture", { name: file.name }, [bytes], limits.answer_timeout_ms);
    if (current()) show(/** @type {any} */ (reply), buffers[0], file.name);
  }

  /** @param {File | null} file @param {number} count */
  async function take(file, count) {
    const mine = ++turn;
    const current = () => mine === turn && !signal.aborted;
    clear();
    if (!file) return say("error", texts.no_file);
    const remark = count > 1 ? ` ${texts.only_first}` : "";
    say("working", `${texts.preparing}${remark}`);
    try {
      await answerFor(file, current, remark);
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof Sentence || error instanceof Silence)) console.warn("[shoebox]", error);
      say("error", sentenceOf(error, texts.too_slow));
    }
  }

  listen({ root, drop, input }, take, signal);
  shakeHands(ask, signal).then(
    () => { if (root.dataset.state === "loading") say("ready", texts.ready); },
    (error) => { if (!signal.aborted && turn === 0) say("error", sentenceOf(error, texts.no_answer)); },
  );

  return () => {
    controller.abort();
    clear();
  };
}

export default { render };
