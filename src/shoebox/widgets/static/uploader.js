// @ts-check
/**
 * The visitor's card: choose, drop, paste or take pictures; read the answers.
 *
 * The kernel is asked by requests with `kind` and `id`, and every request has a time-out. What a person or a model
 * named is only ever set as text. All listeners, timers and object URLs end with one AbortController.
 *
 * @typedef {import("./uploader/line.js").Model} Model
 * @typedef {import("./uploader/answer.js").Result} Result
 * @typedef {{say(state: import("./uploader/view.js").State, sentence: string): void, tell(sentence: string): void,
 *   far(done: number, total: number): void}} Status
 */

import { Sentence, Silence, createLine, shakeHands } from "./uploader/line.js";
import { prepare } from "./uploader/picture.js";
import { createResults } from "./uploader/results.js";
import { createForget } from "./uploader/verdict.js";
import { addCard, addFacts, addHeading, createStatus } from "./uploader/view.js";
import { watchKernel } from "./uploader/pulse.js";
import { chooseTexts, duration, element, fill } from "./uploader/words.js";

const SENDING_AFTER_MS = 250; // what is answered sooner need not be spoken of

/**
 * Choose, drop and paste.
 * @param {{root: HTMLElement, drop: HTMLElement, inputs: HTMLInputElement[]}} parts
 * @param {(files: File[]) => void} take
 * @param {AbortSignal} signal
 */
function listen({ root, drop, inputs }, take, signal) {
  const options = { signal };
  // Under Voila the page is ours: a file dropped beside the card must not navigate away and end the kernel.
  const ground = document.body.dataset.voila ? document.documentElement : root;
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const mark = (/** @type {boolean} */ over) => drop.toggleAttribute("data-over", over);

  for (const input of inputs) {
    input.addEventListener("change", () => {
      const files = Array.from(input.files ?? []);
      input.value = ""; // so that the same file can be chosen again
      if (files.length) take(files);
    }, options);
  }
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
    take(Array.from(event.dataTransfer?.files ?? []));
  }, options);
  document.addEventListener("paste", (event) => {
    const target = /** @type {HTMLElement | null} */ (event.target);
    const typing = target?.isContentEditable || target?.tagName === "TEXTAREA";
    const files = Array.from(event.clipboardData?.files ?? []);
    if (!files.length || typing || root.offsetParent === null) return;
    event.preventDefault();
    take(files);
  }, options);
}

/**
 * What to say of an error: the page's own text in the reader's language where there is one, as the kernel's speaks to the
 * maker too; else the kernel's sentence, or that it was silent.
 * @param {Record<string, string>} texts
 */
function createSayer(texts) {
  return (/** @type {unknown} */ error, /** @type {string} */ silence, /** @type {string} */ name = "") => {
    if (!(error instanceof Sentence)) return silence;
    const known = texts[error.code];
    return known ? fill(known, { name }) : error.message;
  };
}

/**
 * What happens to pictures, from the hand to the answer. The newest wins: what comes late for older ones is dropped.
 * @param {ReturnType<typeof createLine>} ask
 * @param {Status} status
 * @param {ReturnType<typeof createResults>} results
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @param {AbortSignal} signal
 */
function createTaker(ask, status, results, limits, texts, signal) {
  const sayOf = createSayer(texts);
  let turn = 0;

  /** @param {File} file @param {() => boolean} current @param {(sentence: string) => void} say @param {string} sending */
  async function answerFor(file, current, say, sending) {
    /** @type {Promise<any> | undefined} */
    let alive; // asked while the picture is decoded, which leaves this thread alone
    const sent = await prepare(file, limits, texts, () => {
      alive = ask("ping", {}, [], limits.ping_timeout_ms).catch(() => { throw new Silence("ping"); });
      alive.catch(() => {}); // heard below, or nobody waits any more
    });
    await alive;
    if (!current()) return null;
    const late = setTimeout(() => current() && say(sending), SENDING_AFTER_MS);
    const own = sent.to !== null; // the very picture that is sent can be shown
    const { reply, buffers } = await ask("picture", { name: file.name, has_picture: own }, [sent.bytes],
                                         limits.answer_timeout_ms).finally(() => clearTimeout(late));
    if (!current()) return null;
    return results.make(file.name, /** @type {any} */ (reply), own ? [new DataView(sent.bytes), ...buffers] : buffers,
                        { ...sent, bytes: new ArrayBuffer(0) });
  }

  /** @param {File[]} files @param {() => boolean} current */
  async function takeEach(files, current) {
    const total = files.length;
    for (const [place, file] of files.entries()) {
      const where = { number: String(place + 1), total: String(total) };
      const words = (/** @type {string} */ one, /** @type {string} */ several) => (total > 1 ? fill(several, where) : one);
      const say = (/** @type {string} */ sentence) => status.say("working", sentence);
      status.far(place, total);
      say(words(texts.preparing, texts.preparing_one_of));
      try {
        const result = await answerFor(file, current, say, words(texts.sending, texts.sending_one_of));
        if (!result || !current()) return;
        results.add(result);
      } catch (error) {
        if (!current()) return;
        if (!(error instanceof Sentence || error instanceof Silence)) console.warn("[shoebox]", error);
        const silent = error instanceof Silence && error.message === "ping";
        const sentence = sayOf(error, silent ? texts.no_answer : texts.too_slow, file.name);
        if (total === 1 || silent) return status.say("error", sentence);
        results.add({ name: file.name, answer: null, sentence, url: "", heat: null, sent: null, nodes: null });
      }
    }
    status.far(total, total);
    status.say("done", results.summary(total));
  }

  /** @param {File[]} files */
  return async function take(files) {
    const mine = ++turn;
    const current = () => mine === turn && !signal.aborted;
    results.clear();
    status.far(1, 1);
    if (!files.length) return status.say("error", texts.no_file);
    results.remark(files.length > limits.max_pictures
      ? fill(texts.only_first, { count: String(limits.max_pictures) }) : "");
    await takeEach(files.slice(0, limits.max_pictures), current);
  };
}

/**
 * Say so when the kernel is put to sleep, ends, or cannot be reached.
 * @param {Status} status
 * @param {HTMLElement} root
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @param {AbortSignal} signal
 */
function keepAnEyeOn(status, root, limits, texts, signal) {
  let used = Date.now();
  const look = watchKernel(limits, signal, (news) => {
    const slept = limits.idle_s > 0 && Date.now() - used >= limits.idle_s * 1000;
    const time = duration(Math.max(1, Math.round(limits.idle_s / 60)), "minute", texts);
    if (news === "gone") status.say("asleep", slept ? fill(texts.asleep, { time }) : texts.ended);
    else if (news === "silent") status.say("error", texts.no_answer);
    else if (root.dataset.state === "error") status.say("ready", texts.ready);
  });
  return { used: () => { used = Date.now(); }, look };
}

/** @param {Model} model @param {HTMLElement} el @returns {() => void} what ends it */
function build(model, el) {
  const controller = new AbortController();
  const { signal } = controller;
  const texts = chooseTexts(model.get("texts"), navigator.languages);
  const about = model.get("about");
  const problem = model.get("problem");
  const limits = model.get("limits");

  const root = element("section", "sbx-app", "", { lang: texts._code });
  if (document.body.dataset.voila) document.documentElement.lang = texts._code;
  el.append(root);
  addHeading(about, texts, root);
  const card = problem ? null : addCard(about, texts, root);
  const status = createStatus(root, texts, card?.inputs ?? []);
  if (!card) {
    status.say("error", fill(texts.no_model, { problem }));
    return () => controller.abort();
  }

  const ask = createLine(model, signal);
  const sayOf = createSayer(texts);
  const sentenceOf = (/** @type {unknown} */ error) => sayOf(error, texts.no_answer);
  /** @param {string} kind @param {Record<string, any>} fields */
  const speak = async (kind, fields) => (await ask(kind, fields, [], limits.ping_timeout_ms)).reply;
  const results = createResults(root, card.label, about, texts, speak, sentenceOf, status.tell);
  addFacts(about, texts, root, about.keep_days > 0 ? [createForget(texts, speak, sentenceOf, status.tell)] : []);
  status.say("loading", texts.loading);
  const take = createTaker(ask, status, results, limits, texts, signal);
  const eye = keepAnEyeOn(status, root, limits, texts, signal);
  listen({ root, ...card }, (files) => {
    if (root.dataset.state === "asleep") return;
    eye.used();
    take(files).then(() => { if (root.dataset.state === "error") eye.look(); });
  }, signal);
  const stillLoading = () => !signal.aborted && root.dataset.state === "loading";
  shakeHands(ask, signal).then(
    () => { if (stillLoading()) status.say("ready", texts.ready); },
    (error) => { if (stillLoading()) status.say("error", sentenceOf(error)); },
  );

  return () => {
    controller.abort();
    results.clear();
  };
}

/** @param {{model: Model, el: HTMLElement}} context */
function render({ model, el }) {
  let end = build(model, el);
  const anew = () => { // a model that is opened behind the page may turn out to be none
    end();
    el.replaceChildren();
    end = build(model, el);
  };
  model.on("change:problem", anew);
  return () => {
    model.off("change:problem", anew);
    end();
  };
}

export default { render };
