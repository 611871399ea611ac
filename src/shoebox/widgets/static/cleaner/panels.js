// @ts-check
/**
 * What opens above the grid: the keys, the plan before an apply, and how it went.
 *
 * @typedef {import("./words.js").Planned} Planned
 * @typedef {import("./words.js").Result} Result
 */

import { KEYS, keyName, labelKeys } from "./keys.js";
import { button, counted, element, icon, labelled, moment, number, words } from "./words.js";

/** @param {string[]} classes */
export function createHelp(classes) {
  const box = element("div", "sbx-help");
  const list = element("dl", "sbx-keys");
  const commands = KEYS.map((row) => ({ keys: row.keys.map(keyName), words: row.words }));
  for (const row of [...commands, ...labelKeys(classes)]) {
    const line = element("div", "sbx-key");
    const term = element("dt");
    for (const key of row.keys) term.append(key === "…" ? words("…") : element("kbd", "", key));
    line.append(term, element("dd", "", row.words));
    list.append(line);
  }
  const buttons = element("div", "sbx-buttons");
  buttons.append(button("close", "Close (Esc)", [words("Close")]));
  box.append(element("h3", "", "Keys"), list, buttons);
  return box;
}

/**
 * @param {Planned} planned
 * @param {number[] | null} progress while files are moving
 */
export function createPlan(planned, progress) {
  const box = element("div", "sbx-plan");
  const nothing = planned.total === 0;
  const files = counted(planned.total, "file", "files");
  box.append(element("h3", "", nothing ? "Nothing to move" : `Move ${files}?`));
  box.append(element("p", "", nothing
    ? "Only “relabel” and “remove” move files. Decide some pictures, then come back."
    : `${number(planned.relabel)} to another class, ${number(planned.remove)} to the trash. Nothing is deleted, and it can be undone.`));
  if (planned.classes.length) box.append(createChanges(planned.classes));
  if (planned.moves.length) box.append(createMoves(planned));
  for (const sentence of planned.stale) box.append(element("p", "sbx-warning", sentence));
  const buttons = element("div", "sbx-buttons");
  if (!nothing) buttons.append(button("apply", `Move ${files}`, [words(`Move ${files}`)], "sbx-primary"));
  buttons.append(button("cancel", nothing ? "Close (Esc)" : "Cancel (Esc)", [words(nothing ? "Close" : "Cancel")]));
  if (planned.last_apply) {
    const [at, moved] = planned.last_apply;
    box.append(element("p", "sbx-more", `${counted(moved, "file was", "files were")} moved last, on ${moment(at)}.`));
    buttons.append(button("undo_apply", "Bring these files back", [icon("undo"), words("Undo the last apply")]));
  }
  if (progress) {
    for (const node of buttons.querySelectorAll("button")) node.disabled = true;
    const bar = element("progress", "sbx-moved", "", { "aria-label": "Files moved", max: String(progress[1] ?? 1) });
    if (progress.length) bar.value = progress[0];
    buttons.append(bar, element("span", "sbx-moving", progress.length ? `${number(progress[0])} of ${number(progress[1])} …` : "Moving …"));
  }
  box.append(buttons);
  return box;
}

/** @param {Planned["classes"]} classes */
function createChanges(classes) {
  const table = element("table", "sbx-changes");
  const head = table.createTHead().insertRow();
  for (const name of ["Class", "Now", "After", "Change"]) head.append(element("th", "", name, { scope: "col" }));
  const body = table.createTBody();
  for (const { label, before, after } of classes) {
    const line = body.insertRow();
    const name = element("th", "", "", { scope: "row" });
    name.append(labelled(label, "sbx-name"));
    const change = after - before;
    const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
    line.append(name, element("td", "", number(before)), element("td", "", number(after)),
                element("td", "sbx-change", `${sign}${number(Math.abs(change))}`));
  }
  const scroll = element("div", "sbx-scroll", "", { tabindex: "0", role: "region", "aria-label": "Pictures per class, now and after" });
  scroll.append(table);
  return scroll;
}

/** @param {Planned} planned */
function createMoves({ moves, total }) {
  const details = element("details", "sbx-moves");
  details.append(element("summary", "", "File by file"));
  const list = element("ul");
  for (const [path, label] of moves) {
    const line = element("li");
    line.append(labelled(path, ""), words(" → "), label === null ? words("trash") : labelled(label, ""));
    list.append(line);
  }
  if (total > moves.length) list.append(element("li", "", `and ${number(total - moves.length)} more`));
  details.append(list);
  return details;
}

/**
 * Accuracy before and after a retraining, on the same pictures.
 * @param {{n: number, before: number[], after: number[], fixed: number, broken: number}} comparison shares with their intervals
 */
export function createComparison({ n, before, after, fixed, broken }) {
  const box = element("div", "sbx-comparison", "", { role: "group", "aria-label": "Before and after training again" });
  box.append(element("strong", "", `The same ${number(n)} validation pictures, before and after training again`));
  for (const [name, [share, low, high]] of Object.entries({ Before: before, After: after })) {
    const line = element("div", "sbx-share");
    const track = element("span", "sbx-interval", "", { "aria-hidden": "true" });
    const range = element("span", "sbx-range");
    range.style.left = `${100 * low}%`;
    range.style.width = `${100 * (high - low)}%`;
    const point = element("span", "sbx-point");
    point.style.left = `${100 * share}%`;
    track.append(range, point);
    line.append(element("span", "", name), track, element("span", "sbx-percent", `${tenths(share)} right (95 % interval ${tenths(low)} to ${tenths(high)})`));
    box.append(line);
  }
  box.append(element("p", "sbx-more", `${counted(fixed, "answer", "answers")} turned right, ${number(broken)} turned wrong.`));
  return box;
}

/** @param {number} share */
const tenths = (share) => `${(100 * share).toFixed(1)} %`;

/** @param {Result} result */
export function createResult(result) {
  const box = element("div", "sbx-result");
  box.append(element("h3", "", result.undone ? "Taken back" : "Applied"));
  box.append(element("p", "", result.undone || !result.moved ? result.sentence
    : `${result.sentence} The next step is to train again and see what it brought.`));
  for (const sentence of result.failed) box.append(element("p", "sbx-warning", sentence));
  const buttons = element("div", "sbx-buttons");
  if (!result.undone && result.moved) buttons.append(button("undo_apply", "Bring the files back", [icon("undo"), words("Undo")]));
  buttons.append(button("close", "Close (Esc)", [words("Close")]));
  box.append(buttons);
  return box;
}
