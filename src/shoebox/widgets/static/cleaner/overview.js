// @ts-check
/**
 * The overview: given labels against suggestions, and bars for classes and kinds. Every cell and bar opens its pictures.
 *
 * @typedef {{labels: string[], left_out: number, cells: number[][]}} Confusion
 * @typedef {import("./words.js").Snapshot} Snapshot
 */

import { button, element, kindWords, labelled, number, words } from "./words.js";

/** @param {Confusion} confusion @param {Snapshot} snapshot */
export function createOverview(confusion, snapshot) {
  const box = element("div", "sbx-overview");
  box.append(element("h3", "", "Overview"), element("p", "sbx-more", "A cell or a bar opens its pictures. Rows: given label; columns: suggestion."));
  const both = element("div", "sbx-both");
  both.append(matrixTable(confusion), bars(snapshot));
  const buttons = element("div", "sbx-buttons");
  buttons.append(button("open_all", "Show all pictures", [words("All pictures")]), button("close", "Close (Esc)", [words("Close")]));
  box.append(both, buttons);
  return box;
}

/** @param {Confusion} confusion */
function matrixTable({ labels, left_out: leftOut, cells }) {
  const counts = new Map(cells.map(([row, column, total, open]) => [`${row} ${column}`, { total, open }]));
  const most = Math.max(1, ...cells.filter(([row, column]) => row !== column).map(([, , total]) => total));
  const table = element("table", "sbx-matrix");
  table.append(element("caption", "", leftOut ? `The ${number(labels.length)} classes that are confused most; ${number(leftOut)} more are left out.` : ""));
  const head = table.createTHead().insertRow();
  head.append(element("td"));
  for (const label of labels) head.append(heading(label, "col"));
  const body = table.createTBody();
  labels.forEach((given, row) => {
    const line = body.insertRow();
    line.append(heading(given, "row"));
    labels.forEach((suggested, column) => {
      const cell = line.insertCell();
      const found = counts.get(`${row} ${column}`);
      if (!found) return;
      const open = button("pair", `${given} → ${suggested}: ${number(found.total)}, ${number(found.open)} undecided`, [words(number(found.total))], "sbx-cell");
      open.setAttribute("aria-label", open.title);
      open.dataset.given = given;
      open.dataset.suggested = suggested;
      if (row === column) open.classList.add("sbx-diagonal");
      else open.style.setProperty("--sbx-share", String(found.total / most));
      cell.append(open);
    });
  });
  const scroll = element("div", "sbx-scroll", "", { tabindex: "0", role: "region", "aria-label": "Given labels against suggestions" });
  scroll.append(table);
  return scroll;
}

/** @param {string} label @param {string} scope */
function heading(label, scope) {
  const cell = element("th", "", "", { scope });
  cell.append(labelled(label, "sbx-name"));
  return cell;
}

/** @param {Snapshot} snapshot */
function bars(snapshot) {
  const box = element("div", "sbx-bars");
  const most = Math.max(1, ...snapshot.classes.map(({ total }) => total));
  box.append(element("h4", "", "Classes"));
  for (const { label, total, decided } of snapshot.classes) box.append(bar("class", label, label, total, decided, most));
  if (snapshot.kinds.length > 1) {
    const highest = Math.max(1, ...snapshot.kinds.map(({ total }) => total));
    box.append(element("h4", "", "Kinds"));
    for (const { name, total, decided } of snapshot.kinds) box.append(bar("kind", name, kindWords(name), total, decided, highest));
  }
  return box;
}

/** @param {string} action @param {string} value @param {string} name @param {number} total @param {number} decided @param {number} most */
function bar(action, value, name, total, decided, most) {
  const node = button(action, `${name}: ${number(decided)} of ${number(total)} decided`, [], "sbx-bar-button");
  const track = element("span", "sbx-track");
  const fill = element("span", "sbx-fill");
  fill.style.width = `${(100 * total) / most}%`;
  track.append(fill);
  node.append(labelled(name, "sbx-name"), element("span", "sbx-percent", `${number(decided)} / ${number(total)}`), track);
  node.dataset.value = value;
  return node;
}
