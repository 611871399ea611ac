// @ts-check
/**
 * What the person says of an answer, and what may be kept.
 *
 * @typedef {(kind: string, fields: Record<string, any>) => Promise<Record<string, any>>} Speak
 * @typedef {import("./answer.js").Result} Result
 */

import { isNone } from "./answer.js";
import { duration, element, fill } from "./words.js";

const NONE = "none";

/**
 * Words below a button: they stay there to be read, and are said aloud by the page's one status line.
 * @param {(sentence: string) => void} announce
 */
function createReply(announce) {
  const node = element("p", "sbx-reply");
  return {
    node,
    /** @param {string} sentence */
    say(sentence) {
      node.textContent = sentence;
      announce(sentence);
    },
  };
}

/** @param {Record<string, any>} about */
export const asksPersons = (about) => about.stage !== "live" || about.keep_days > 0;

/**
 * The panel below an answer.
 * @param {Result} result
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {Speak} speak
 * @param {(error: unknown) => string} sentenceOf
 * @param {(sentence: string) => void} announce
 */
export function createVerdict(result, about, texts, speak, sentenceOf, announce) {
  const form = element("form", "sbx-verdict");
  const hidden = Boolean(result.answer?.hidden);
  const question = hidden ? texts.ask_shadow : about.stage === "supervised" ? texts.ask_confirm : texts.ask_right;
  const group = element("fieldset", "sbx-group");
  group.append(element("legend", "", question));
  const reply = createReply(announce);
  const choice = createChoice(about, texts);
  const keep = about.keep_days > 0 ? createConsent(about, texts) : null;
  const right = element("button", "sbx-quiet-button", texts.say_right, { type: "button" });
  const wrong = element("button", "sbx-quiet-button", texts.say_wrong, { type: "button", "aria-expanded": "false" });
  const send = element("button", "sbx-quiet-button", texts.send, { type: "submit" });
  const openChoice = (/** @type {boolean} */ open) => {
    choice.hidden = send.hidden = !open;
    wrong.setAttribute("aria-expanded", String(open));
  };
  openChoice(hidden);
  wrong.onclick = () => { openChoice(true); choice.focus(); };

  /** @param {Record<string, any>} said @param {string} label */
  async function tell(said, label) {
    if (keep && !keep.input.reportValidity()) return;
    group.disabled = true;
    try {
      const fields = { number: result.answer?.number, keep: Boolean(keep?.input.checked), ...said };
      const { receipt } = await speak("verdict", fields);
      group.remove();
      say(receipt, label);
    } catch (error) {
      group.disabled = false;
      reply.say(sentenceOf(error));
    }
  }

  /** @param {string} receipt @param {string} label */
  function say(receipt, label) {
    const confirmed = about.stage === "supervised" ? `${fill(texts.confirmed, { label })} ` : "";
    reply.say(confirmed + (receipt ? fill(texts.kept, { receipt }) : texts.noted));
    if (receipt) form.append(createDelete(receipt, reply, texts, speak, sentenceOf));
  }

  const appSays = !result.answer || hidden ? "" : isNone(result.answer) ? texts.none_short : result.answer.label;
  right.onclick = () => tell({ says: "right" }, appSays);
  form.onsubmit = (event) => {
    event.preventDefault();
    if (!choice.reportValidity() || choice.value === "") return;
    const label = choice.selectedOptions[0].text;
    tell(choice.value === NONE ? { says: NONE } : { says: "label", label: Number(choice.value) }, label);
  };
  const buttons = element("div", "sbx-buttons");
  buttons.append(...(hidden ? [] : [right, wrong]), choice, send);
  group.append(...(keep ? [keep.label] : []), buttons);
  form.append(group, reply.node);
  return form;
}

/** @param {Record<string, any>} about @param {Record<string, string>} texts */
function createChoice(about, texts) {
  const choice = element("select", "sbx-choice", "", { "aria-label": texts.choose_class, required: "" });
  choice.append(element("option", "", texts.choose_class, { value: "" }));
  about.classes.forEach((/** @type {string} */ name, /** @type {number} */ place) => {
    choice.append(element("option", "", name, { value: String(place) }));
  });
  choice.append(element("option", "", texts.none_short, { value: NONE }));
  return choice;
}

/** @param {Record<string, any>} about @param {Record<string, string>} texts */
function createConsent(about, texts) {
  const label = element("label", "sbx-consent");
  const input = element("input", "", "", { type: "checkbox" });
  input.required = !about.counted; // without the picture there would be nothing to send
  label.append(input, element("span", "", fill(texts.consent, { time: duration(about.keep_days, "day", texts) })));
  return { label, input };
}

/**
 * @param {string} receipt @param {ReturnType<typeof createReply>} reply @param {Record<string, string>} texts @param {Speak} speak
 * @param {(error: unknown) => string} sentenceOf
 */
function createDelete(receipt, reply, texts, speak, sentenceOf) {
  const button = element("button", "sbx-quiet-button", texts.delete, { type: "button" });
  button.onclick = async () => {
    button.disabled = true;
    try {
      await speak("forget", { receipt });
      reply.say(texts.forgotten);
      button.remove();
    } catch (error) {
      reply.say(sentenceOf(error));
      button.disabled = false;
    }
  };
  return button;
}

/**
 * For the foot of the page: delete by number, on another day.
 * @param {Record<string, string>} texts @param {Speak} speak @param {(error: unknown) => string} sentenceOf
 * @param {(sentence: string) => void} announce
 */
export function createForget(texts, speak, sentenceOf, announce) {
  const details = element("details", "sbx-classes");
  const form = element("form", "sbx-forget");
  const input = element("input", "sbx-choice", "", { "aria-label": texts.forget_number, required: "", maxlength: "40",
                                                     placeholder: texts.forget_number, autocomplete: "off",
                                                     autocapitalize: "none", spellcheck: "false" });
  const reply = createReply(announce);
  form.append(input, element("button", "sbx-quiet-button", texts.delete, { type: "submit" }), reply.node);
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      await speak("forget", { receipt: input.value.trim() });
      reply.say(texts.forgotten);
      input.value = "";
    } catch (error) {
      reply.say(sentenceOf(error));
    }
  };
  details.append(element("summary", "", texts.forget_title), form);
  return details;
}
