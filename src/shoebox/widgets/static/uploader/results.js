// @ts-check
/**
 * The answers on the page: one large, and a table when there are several.
 *
 * @typedef {import("./answer.js").Result} Result
 */

import { createFigure, createWords, isNone, noneWords } from "./answer.js";
import { createTable } from "./table.js";
import { asksPersons, createVerdict } from "./verdict.js";
import { element, fill, percent } from "./words.js";

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} button whose words change after the first answer
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {import("./verdict.js").Speak} speak
 * @param {(error: unknown) => string} sentenceOf
 * @param {(sentence: string) => void} announce
 */
export function createResults(root, button, about, texts, speak, sentenceOf, announce) {
  const note = element("p", "sbx-remark");
  const box = element("article", "sbx-answer", "", { "aria-label": texts.answer_region });
  const several = element("div");
  /** @type {Result[]} */
  let all = [];
  note.hidden = box.hidden = true;
  root.append(note, box, several);

  /** @param {Result} result */
  function nodesOf(result) {
    if (!result.nodes) {
      result.nodes = [createFigure(result, texts), createWords(result, texts)];
      if (asksPersons(about)) result.nodes[1].append(createVerdict(result, about, texts, speak, sentenceOf, announce));
    }
    return result.nodes;
  }

  /** @param {Result} result */
  function show(result) {
    box.replaceChildren(...nodesOf(result));
    box.hidden = false;
  }

  return {
    /** @param {string} name @param {import("./answer.js").Answer} answer @param {DataView[]} buffers @param {any} sent */
    make(name, answer, [preview, heat], sent) {
      const url = URL.createObjectURL(new Blob(preview ? [/** @type {any} */ (preview)] : [], { type: "image/jpeg" }));
      return { name, answer, sentence: "", url, heat: heat ?? null, sent, nodes: null };
    },

    /** @param {Result} result */
    add(result) {
      all.push(result);
      if (result.answer && !all.slice(0, -1).some((one) => one.answer)) show(result);
      several.replaceChildren(...(all.length > 1 ? [createTable(all, about, texts, show)] : []));
      button.textContent = texts.choose_another;
    },

    clear() {
      for (const { url } of all) if (url) URL.revokeObjectURL(url);
      all = [];
      box.replaceChildren();
      several.replaceChildren();
      box.hidden = true;
    },

    /** @param {string} sentence */
    remark(sentence) {
      note.textContent = sentence;
      note.hidden = !sentence;
    },

    /** What the status line says at the end. @param {number} total */
    summary(total) {
      const done = all.filter((result) => result.answer);
      if (total > 1) return fill(texts.done_several, { done: String(done.length), total: String(total) });
      const answer = done[0]?.answer;
      if (!answer || answer.hidden) return texts.done_hidden;
      if (isNone(answer)) return answer.known === false ? texts.done_none : noneWords(answer, texts);
      return fill(texts.done, { label: answer.label, percent: percent(answer.probability, texts) });
    },
  };
}
