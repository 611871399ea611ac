// @ts-check
/**
 * The frame round the grid: filters, progress, pages. Built once, then brought up to each snapshot.
 *
 * @typedef {import("./words.js").Kind} Kind
 * @typedef {import("./words.js").Snapshot} Snapshot
 */

import { createComparison } from "./panels.js";
import { WORDS, button, element, holdsFocus, icon, kindWords, number, words } from "./words.js";

/**
 * A select with a name in front.
 * @param {string} name
 * @param {string} field of the view
 */
function createSelect(name, field) {
  const label = element("label", "sbx-field");
  const select = element("select", "sbx-select", "", { "data-field": field });
  label.append(element("span", "sbx-field-name", name), select);
  return { label, select };
}

/**
 * Bring options up to a list, touching only what differs.
 * @param {HTMLSelectElement} select
 * @param {{value: string, text: string}[]} wanted
 * @param {string} value
 */
function setOptions(select, wanted, value) {
  while (select.options.length > wanted.length) select.remove(select.options.length - 1);
  wanted.forEach(({ value: own, text }, place) => {
    const option = select.options[place] ?? select.appendChild(element("option"));
    if (option.value !== own || !option.hasAttribute("value")) option.value = own;
    if (option.textContent !== text) option.textContent = text;
  });
  if (select.value !== value) select.value = value;
}

/** Toolbar, panels, grid and pager, empty. */
export function createFrame() {
  const root = element("section", "sbx-cleaner", "", { "aria-label": "Cleaner", "data-lm-suppress-shortcuts": "true" });
  const bar = element("div", "sbx-bar");
  const label = createSelect("Class", "label");
  const suggested = createSelect("Suggested", "suggested");
  const kind = createSelect("Kind", "kind");
  const source = createSelect("Source", "source");
  const side = createSelect("Split", "side");
  const status = createSelect("Show", "status");
  const filters = element("div", "sbx-filters", "", { role: "group", "aria-label": "Filters" });
  filters.append(label.label, suggested.label, kind.label, source.label, side.label, status.label);
  const buttons = element("div", "sbx-buttons");
  const undo = button("undo", "Undo the last decision (z)", [icon("undo"), words("Undo")]);
  const redo = button("redo", "Redo (Shift z)", [icon("redo")]);
  const overview = button("overview", "Overview (m)", [icon("overview")]);
  overview.setAttribute("aria-expanded", "false");
  const help = button("help", "Keys (?)", [words("?")], "sbx-round");
  help.setAttribute("aria-label", "Keys");
  help.setAttribute("aria-expanded", "false");
  const apply = button("plan", "Show what would be moved", [icon("apply"), words("Apply …")], "sbx-primary");
  buttons.append(undo, redo, overview, help, apply);
  bar.append(filters, buttons);

  const progress = element("div", "sbx-progress");
  const meter = element("div", "sbx-meter", "", { role: "progressbar", "aria-label": "Decided", "aria-valuemin": "0" });
  const legend = element("div", "sbx-legend");
  const decided = element("strong", "sbx-decided");
  progress.append(decided, meter, legend);

  const found = element("p", "sbx-found");
  const comparison = element("div");
  const notice = element("p", "sbx-notice", "", { role: "note" });
  const alarm = element("p", "sbx-alarm", "", { "aria-hidden": "true" }); // the status line again, where it is seen
  const panel = element("div", "sbx-panel", "", { tabindex: "-1" });
  const grid = element("div", "sbx-grid", "", { role: "grid", "aria-label": "Pictures, most suspicious first", "aria-colcount": "1", "aria-multiselectable": "true", tabindex: "-1" });
  const empty = element("p", "sbx-empty", "", { tabindex: "-1" }); // takes the focus from the grid: the keys go on
  const foot = element("nav", "sbx-foot", "", { "aria-label": "Pages" });
  const previous = button("previous", "Previous page (p)", [icon("previous"), words("Previous")]);
  const place = element("span", "sbx-page");
  const next = button("next", "Next page (n)", [words("Next"), icon("next")]);
  const live = element("p", "sbx-status", "", { role: "status", "aria-live": "polite" });
  const who = element("input", "sbx-search sbx-who", "", { type: "text", maxlength: "80", "aria-label": "Your name", placeholder: "Your name", autocomplete: "name", title: "Stands beside your decisions, so that others know whose they are" });
  foot.append(previous, place, next, live, who);
  root.append(bar, progress, found, comparison, notice, alarm, panel, grid, empty, foot);
  const filtering = { label: label.select, suggested: suggested.select, kind: kind.select, source: source.select, side: side.select, status: status.select };
  return { root, ...filtering, filtering, undo, redo, overview, help, apply, decided, meter, legend, found, comparison, notice, alarm,
           panel, grid, empty, previous, place, next, live, who };
}

/**
 * A filter by kind or source; there is none where there is nothing to choose.
 * @param {HTMLSelectElement} select @param {import("./words.js").Share[]} rows @param {string | null} value
 * @param {string} all @param {(name: string) => string} named @param {number} least
 */
function shares(select, rows, value, all, named, least) {
  setOptions(select, [{ value: "", text: all }, ...rows.map(({ name, total, decided }) => (
    { value: `=${name}`, text: `${named(name)} (${number(decided)} of ${number(total)})` }))], value === null ? "" : `=${value}`);
  if (select.parentElement) select.parentElement.hidden = rows.length < least && value === null;
}

/** What a retraining brought, if it is known. @param {ReturnType<typeof createFrame>} frame @param {any} comparison */
export function drawComparison(frame, comparison) {
  if (comparison && !frame.comparison.childElementCount) frame.comparison.append(createComparison(comparison));
  else if (!comparison) frame.comparison.replaceChildren();
}

/** @param {ReturnType<typeof createFrame>} frame @param {import("./words.js").Counts} counts */
function drawLegend(frame, counts) {
  frame.legend.dataset.counts = JSON.stringify(counts);
  const kinds = /** @type {Kind[]} */ (["keep", "relabel", "remove", "unsure"]);
  frame.meter.replaceChildren(...kinds.map((kind) => {
    const part = element("span", "sbx-part", "", { "data-kind": kind });
    part.style.width = `${counts.total ? (100 * counts[kind]) / counts.total : 0}%`;
    return part;
  }));
  frame.legend.replaceChildren(...kinds.map((kind) => {
    const entry = element("span", "sbx-entry", "", { "data-kind": kind });
    entry.append(icon(kind), words(`${number(counts[kind])} ${WORDS[kind]}`));
    return entry;
  }));
}

/**
 * Progress, legend and filters from the counts.
 * @param {ReturnType<typeof createFrame>} frame
 * @param {Snapshot} snapshot
 * @param {string[]} classes
 */
export function drawCounts(frame, snapshot, classes) {
  const { counts } = snapshot;
  frame.decided.textContent = `${number(counts.decided)} of ${number(counts.total)} decided`;
  frame.meter.setAttribute("aria-valuenow", String(counts.decided));
  frame.meter.setAttribute("aria-valuemax", String(counts.total));
  if (frame.legend.dataset.counts !== JSON.stringify(counts)) drawLegend(frame, counts); // a scroll makes no new nodes
  const moves = counts.relabel + counts.remove;
  frame.apply.lastChild?.replaceWith(words(moves ? `Apply ${number(moves)} …` : "Apply …"));
  setOptions(frame.label, [{ value: "", text: "All classes" }, ...snapshot.classes.map(({ label, total, decided }) => (
    { value: `=${label}`, text: `${label} (${number(decided)} of ${number(total)})` }))],
  snapshot.label === null ? "" : `=${snapshot.label}`);
  frame.found.textContent = snapshot.found?.sentence ?? "";
  frame.found.hidden = !snapshot.found?.sentence;
  const pairs = [...new Set([...classes, ...(snapshot.suggested === null ? [] : [snapshot.suggested])])];
  setOptions(frame.suggested, [{ value: "", text: "Any" }, ...pairs.map((name) => ({ value: `=${name}`, text: name }))],
             snapshot.suggested === null ? "" : `=${snapshot.suggested}`);
  shares(frame.kind, snapshot.kinds, snapshot.kind, "All kinds", kindWords, 2);
  shares(frame.source, snapshot.sources, snapshot.source, "All sources", (name) => name || "unknown", 1);
  setOptions(frame.side, [{ value: "", text: "Both" }, { value: "train", text: "Training" }, { value: "valid", text: "Validation" }], snapshot.side ?? "");
  setOptions(frame.status, [{ value: "all", text: "All" }, { value: "undecided", text: "Undecided" }, { value: "decided", text: "Decided" }], snapshot.status);
}

/**
 * Before pictures are drawn again where there were none: the grid is there to be measured. True when the focus is to
 * come back to it.
 * @param {ReturnType<typeof createFrame>} frame @param {Snapshot} snapshot
 */
export function uncover(frame, { counts }) {
  if (counts.shown === 0 || !frame.grid.hidden) return false;
  frame.grid.hidden = false;
  return holdsFocus(frame.empty);
}

/**
 * @param {ReturnType<typeof createFrame>} frame
 * @param {Snapshot} snapshot
 * @param {number} page that a person looks at
 */
export function drawPager(frame, snapshot, page) {
  const { counts, pages } = snapshot;
  frame.place.textContent = `page ${number(page + 1)} of ${number(pages)}`;
  frame.previous.toggleAttribute("disabled", page === 0);
  frame.next.toggleAttribute("disabled", page + 1 >= pages);
  frame.grid.setAttribute("aria-rowcount", String(counts.shown));
  const leave = counts.shown === 0 && holdsFocus(frame.grid);
  frame.grid.hidden = counts.shown === 0;
  frame.empty.hidden = counts.shown > 0;
  if (leave) frame.empty.focus({ preventScroll: true });
  if (counts.shown === 0) {
    frame.empty.textContent = counts.total === 0 ? "There is nothing to review."
      : snapshot.status === "undecided" ? "Everything here is decided. Show “All” to look at it again, or apply."
      : "No picture fits these filters. Change a filter above.";
  }
}
