// @ts-check
/**
 * The visitor's card: choose, drop or paste a picture; read the answer.
 *
 * The kernel is asked by requests with `kind` and `id`, and every request has a time-out. What a person or a model
 * named is only ever set as text. All listeners, timers and object URLs end with one AbortController.
 *
 * @typedef {import("./uploader/line.js").Model} Model
 */

import { Sentence, Silence, createLine, shakeHands } from "./uploader/line.js";
import { prepare } from "./uploader/picture.js";
import { addCard, addFacts, addHeading, createScreen } from "./uploader/view.js";
import { element } from "./uploader/words.js";

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
    const typing = target?.isContentEditable || target?.tagName === "TEXTAREA";
    const file = firstFile(event.clipboardData);
    if (!file || typing || root.offsetParent === null) return;
    event.preventDefault();
    take(file, event.clipboardData?.files.length ?? 1);
  }, options);
}

/** @param {unknown} error @param {string} silence what to say when nothing came back in time */
const sentenceOf = (error, silence) => (error instanceof Sentence ? error.message : silence);

/**
 * What happens to a picture, from the hand to the answer. The newest wins: what comes late for an older one is dropped.
 * @param {ReturnType<typeof createLine>} ask
 * @param {ReturnType<typeof createScreen>} screen
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @param {AbortSignal} signal
 */
function createTaker(ask, screen, limits, texts, signal) {
  let turn = 0;

  /** @param {File} file @param {() => boolean} current @param {string} remark */
  async function answerFor(file, current, remark) {
    const alive = ask("ping", {}, [], limits.ping_timeout_ms).catch(() => { throw new Sentence(texts.no_answer); });
    const [bytes] = await Promise.all([prepare(file, limits, texts), alive]);
    if (!current()) return;
    screen.say("working", `${texts.sending}${remark}`);
    const { reply, buffers } = await ask("picture", { name: file.name }, [bytes], limits.answer_timeout_ms);
    if (current()) screen.show(/** @type {any} */ (reply), buffers[0], file.name);
  }

  /** @param {File | null} file @param {number} count */
  return async function take(file, count) {
    const mine = ++turn;
    const current = () => mine === turn && !signal.aborted;
    screen.clear();
    if (!file) return screen.say("error", texts.no_file);
    const remark = count > 1 ? ` ${texts.only_first}` : "";
    screen.say("working", `${texts.preparing}${remark}`);
    try {
      await answerFor(file, current, remark);
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof Sentence || error instanceof Silence)) console.warn("[shoebox]", error);
      screen.say("error", sentenceOf(error, texts.too_slow));
    }
  };
}

/** @param {{model: Model, el: HTMLElement}} context */
function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;
  const texts = model.get("texts");
  const about = model.get("about");
  const problem = model.get("problem");

  const root = element("section", "sbx-app");
  el.append(root);
  addHeading(about, root);
  const card = problem ? null : addCard(texts, root);
  const screen = createScreen(root, card?.label, texts);
  if (!card) {
    screen.say("error", problem);
    return () => controller.abort();
  }

  addFacts(about, texts, root);
  screen.say("loading", texts.loading);
  const ask = createLine(model, signal);
  listen({ root, ...card }, createTaker(ask, screen, model.get("limits"), texts, signal), signal);
  const stillLoading = () => !signal.aborted && root.dataset.state === "loading";
  shakeHands(ask, signal).then(
    () => { if (stillLoading()) screen.say("ready", texts.ready); },
    (error) => { if (stillLoading()) screen.say("error", sentenceOf(error, texts.no_answer)); },
  );

  return () => {
    controller.abort();
    screen.clear();
  };
}

export default { render };
