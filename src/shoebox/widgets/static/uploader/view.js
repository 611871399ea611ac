// @ts-check
/** What stands still on the page: heading, card, status line, facts. */

import { element, fill, inLanguage, number } from "./words.js";

/** @typedef {"loading" | "ready" | "working" | "done" | "error" | "asleep"} State */

const ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/avif";

/**
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {HTMLElement} root
 */
export function addHeading(about, texts, root) {
  const title = inLanguage(about.title, texts);
  const intro = inLanguage(about.intro, texts);
  const named = title || document.querySelector("h1")?.textContent?.replace(/¶\s*$/, "").trim(); // Jupyter's link
  if (named && document.body.dataset.voila) document.title = named;
  if (!title && !intro) return;
  const header = element("header", "sbx-header");
  if (title) header.append(element("h1", "sbx-title", title));
  if (intro) header.append(element("p", "sbx-intro", intro));
  root.append(header);
}

/** @param {Record<string, any>} model @param {Record<string, string>} texts */
function modelLine(model, texts) {
  const parts = [];
  if (model.name) parts.push(fill(texts.fact_model, { name: model.name }));
  if (model.date) parts.push(fill(texts.fact_date, { date: model.date }));
  if (model.count) {
    const share = number(model.accuracy, texts, { style: "percent", maximumFractionDigits: 1 });
    parts.push(fill(texts.fact_accuracy, { percent: share, count: number(model.count, texts) }));
  }
  return parts.join(" · ");
}

/** @param {Record<string, any>} about @param {Record<string, string>} texts */
function createClasses(about, texts) {
  const shown = about.classes.slice(0, about.classes_shown ?? about.classes.length);
  const details = element("details", "sbx-classes");
  const more = about.classes_total - shown.length;
  details.append(element("summary", "", fill(texts.classes, { count: number(about.classes_total, texts) })));
  const list = element("ul");
  for (const name of shown) list.append(element("li", "", name));
  if (more > 0) list.append(element("li", "sbx-more", fill(texts.more_classes, { count: number(more, texts) })));
  details.append(list);
  return details;
}

/**
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {HTMLElement} root
 * @param {HTMLElement[]} more
 */
export function addFacts(about, texts, root, more = []) {
  const footer = element("footer", "sbx-facts");
  const line = modelLine(about.model ?? {}, texts);
  const privacy = about.keep_days > 0 ? texts.privacy_feedback : texts.privacy;
  const stage = about.stage === "live" ? texts.stage_live : "";
  for (const fact of [line, privacy, about.counted ? texts.privacy_counted : "", stage].filter(Boolean)) {
    footer.append(element("p", "", fact));
  }
  if (about.classes?.length) footer.append(createClasses(about, texts));
  if (about.card) {
    const card = element("details", "sbx-classes");
    card.append(element("summary", "", texts.card), element("div", "sbx-card-text", about.card));
    footer.append(card);
  }
  footer.append(...more);
  root.append(footer);
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
 * The card that takes pictures. The camera's button is shown where fingers are.
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {HTMLElement} root
 */
export function addCard(about, texts, root) {
  const stage = { shadow: texts.stage_shadow, supervised: texts.stage_supervised }[/** @type {string} */ (about.stage)];
  if (stage) root.append(element("p", "sbx-stage", stage));
  const id = `sbx-file-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const drop = element("div", "sbx-drop");
  const input = element("input", "sbx-file", "", { type: "file", id, accept: ACCEPT, multiple: "" });
  const label = element("label", "sbx-button", texts.choose, { for: id });
  const camera = element("input", "sbx-file sbx-camera", "", { type: "file", id: `${id}-camera`, accept: "image/*",
                                                               capture: "environment" });
  const cameraLabel = element("label", "sbx-button sbx-second sbx-camera", texts.camera, { for: camera.id });
  const words = element("div", "sbx-drop-words");
  words.append(element("p", "sbx-hint", texts.hint), element("p", "sbx-kinds", texts.kinds));
  drop.append(drawIcon(), camera, cameraLabel, input, label, words);
  root.append(drop);
  return { drop, inputs: [input, camera], label };
}

/**
 * The one permanent status line, how far it is with several pictures, and the way out when the kernel is gone.
 * @param {HTMLElement} root
 * @param {Record<string, string>} texts
 * @param {HTMLInputElement[]} inputs
 */
export function createStatus(root, texts, inputs) {
  const status = element("p", "sbx-status", "", { role: "status", "aria-live": "polite" });
  const progress = element("progress", "sbx-progress", "", { "aria-hidden": "true" });
  const reload = element("button", "sbx-button sbx-reload", texts.reload, { type: "button" });
  reload.onclick = () => location.reload();
  progress.hidden = reload.hidden = true;
  root.append(status, progress, reload);

  return {
    /** @param {State} state @param {string} sentence */
    say(state, sentence) {
      root.dataset.state = state;
      status.textContent = sentence;
      reload.hidden = state !== "asleep";
      for (const input of inputs) input.disabled = state === "asleep";
    },
    /** Words beside a button, for those who hear the page; what goes on stays as it is. @param {string} sentence */
    tell(sentence) {
      status.textContent = sentence;
    },
    /** @param {number} done @param {number} total */
    far(done, total) {
      progress.hidden = total < 2 || done >= total;
      progress.max = total;
      progress.value = done;
    },
  };
}
