// @ts-check
/** Several pictures: a table to choose from, and the same as CSV. */

import { isNone, noneWords } from "./answer.js";
import { element, percent } from "./words.js";

/** @typedef {import("./answer.js").Result} Result */

/** A cell that no spreadsheet takes for a formula. @param {unknown} value */
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** @param {Result} result @param {Record<string, string>} texts */
function answerOf({ answer, sentence }, texts) {
  if (!answer) return sentence;
  if (!isNone(answer)) return answer.label;
  return answer.known === false ? texts.none_short : noneWords(answer, texts);
}

/** Of the label that is named: none, where none is. @param {Result} result */
const probabilityOf = ({ answer }) => (answer && !answer.hidden && !isNone(answer) ? answer.probability : undefined);

/**
 * The results as CSV, with a mark at its beginning by which spreadsheets know its letters.
 * @param {Result[]} results
 * @param {Record<string, any>} model
 * @param {Record<string, string>} texts
 */
export function toCsv(results, model, texts) {
  const head = [texts.column_file, texts.column_answer, texts.column_probability, texts.column_model,
                texts.column_date];
  const rows = results.map((result) => [result.name, answerOf(result, texts), probabilityOf(result)?.toFixed(4),
                                        model?.name, model?.date]);
  return "\ufeff" + [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/**
 * @param {Result[]} results
 * @param {Record<string, any>} about
 * @param {Record<string, string>} texts
 * @param {(result: Result) => void} choose
 */
export function createTable(results, about, texts, choose) {
  const section = element("section", "sbx-several", "", { "aria-label": texts.table_title });
  const table = element("table", "sbx-table");
  const head = element("tr");
  for (const title of [texts.column_file, texts.column_answer, texts.column_probability]) {
    head.append(element("th", "", title, { scope: "col" }));
  }
  const body = element("tbody");
  for (const result of results) body.append(createRow(result, texts, choose));
  const top = element("thead");
  top.append(head);
  table.append(element("caption", "", texts.table_title), top, body);
  section.append(table);
  if (!results.some((result) => result.answer?.hidden)) section.append(createCsvButton(results, about, texts));
  return section;
}

/** @param {Result} result @param {Record<string, string>} texts @param {(result: Result) => void} choose */
function createRow(result, texts, choose) {
  const { answer } = result;
  const row = element("tr");
  const file = element("td");
  const name = element("span", "sbx-long", result.name, { title: result.name });
  if (answer) {
    const button = element("button", "sbx-row", "", { type: "button" });
    const image = element("img", "sbx-thumb", "", { src: result.url, alt: "" });
    button.append(image, name);
    button.onclick = () => choose(result);
    file.append(button);
  } else {
    file.append(name);
  }
  if (!answer) {
    row.append(file, element("td", "sbx-fault", answerOf(result, texts), { colspan: "2" })); // a sentence needs room
    return row;
  }
  const probability = probabilityOf(result);
  row.append(file, element("td", "", answer.hidden ? "…" : answerOf(result, texts)),
             element("td", "sbx-share", probability === undefined ? "" : percent(probability, texts)));
  return row;
}

/** @param {Result[]} results @param {Record<string, any>} about @param {Record<string, string>} texts */
function createCsvButton(results, about, texts) {
  const button = element("button", "sbx-quiet-button", texts.csv, { type: "button" });
  button.onclick = () => {
    const url = URL.createObjectURL(new Blob([toCsv(results, about.model, texts)], { type: "text/csv" }));
    element("a", "", "", { href: url, download: "answers.csv" }).click(); // without `download` the page would say goodbye
    URL.revokeObjectURL(url);
  };
  return button;
}
