// @ts-check
/** A question with two answers, in the flow of what is open, so that nothing is covered. */

import { button, element, words } from "./words.js";

/**
 * @param {(box: HTMLElement) => void} place puts the box where a person can see and reach it now
 * @param {AbortSignal} signal
 */
export function createQuestion(place, signal) {
  const box = element("div", "sbx-question", "", { role: "alertdialog", "aria-label": "Decided by somebody else" });
  const text = element("p");
  const buttons = element("div", "sbx-buttons");
  const no = button("answer_no", "Leave it as it is (Esc)", [words("Leave it")]);
  const yes = button("answer_yes", "Put your decision in its place", [words("Decide anyway")]);
  buttons.append(no, yes);
  box.append(text, buttons);
  box.hidden = true;
  /** @type {((answer: boolean) => void) | null} */
  let waiting = null;

  /** @param {boolean} reply */
  function finish(reply) {
    const answer = waiting;
    waiting = null;
    box.hidden = true;
    answer?.(reply);
  }
  signal.addEventListener("abort", () => finish(false));

  function show() {
    place(box);
    box.hidden = false;
    no.focus();
  }

  return {
    show,
    get isOpen() { return waiting !== null; },
    answer: finish,
    /** @param {string} sentence @returns {Promise<boolean>} */
    ask(sentence) {
      finish(false);
      text.textContent = sentence;
      show();
      return new Promise((resolve) => { waiting = resolve; });
    },
  };
}
