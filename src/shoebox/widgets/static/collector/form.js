// @ts-check
/**
 * The form: rows of class and query, the source, how many. What is typed lives here until it is sent.
 *
 * @typedef {import("../cleaner/words.js").Model} Model
 */

import { button, element, icon, words } from "../cleaner/words.js";

/** @param {Model} model @param {AbortSignal} signal */
export function createForm(model, signal) {
  const root = element("form", "sbx-cleaner sbx-collector", "", { "aria-label": "Collector", "data-lm-suppress-shortcuts": "true" });
  const warning = element("p", "sbx-notice", "", { role: "note" });
  const rows = element("div", "sbx-rows", "", { role: "group", "aria-label": "Classes and what to search for" });
  const add = button("add", "One more class", [words("Add a class")]);
  const source = element("select", "sbx-select", "", { "aria-label": "Source" });
  const place = element("input", "sbx-search sbx-path", "", { type: "text", "aria-label": "Path of the folder, archive or list", placeholder: "path of a folder, zip, tar, txt or csv" });
  const many = element("input", "sbx-search sbx-many", "", { type: "number", min: "1", max: "1000", "aria-label": "Addresses per class" });
  const start = element("button", "sbx-button sbx-primary", "Collect", { type: "submit" });
  const stop = button("stop", "Stop; what is stored stays", [words("Stop")]);
  const live = element("p", "sbx-status", "", { role: "status", "aria-live": "polite" });
  const alarm = element("p", "sbx-alarm", "", { "aria-hidden": "true" });
  const bar = element("div", "sbx-bar");
  const left = element("div", "sbx-filters");
  const right = element("div", "sbx-buttons");
  const perClass = element("span", "sbx-field", "per class");
  left.append(source, place, many, perClass);
  right.append(add, stop, start);
  bar.append(left, right);
  root.append(warning, rows, bar, alarm, live);
  let drawn = "";
  let before = "idle";

  /** @param {string} label @param {string} query */
  function row(label, query) {
    const node = element("div", "sbx-wish");
    const name = element("input", "sbx-search", "", { type: "text", "aria-label": "Class", placeholder: "class", maxlength: "120" });
    const text = element("input", "sbx-search sbx-query", "", { type: "text", "aria-label": "Search for", placeholder: "what to search for", maxlength: "300" });
    name.value = label;
    text.value = query;
    node.append(name, text, button("drop", "Take this class out", [icon("remove")], "sbx-round"));
    return node;
  }

  const inputs = (/** @type {Element} */ node) => /** @type {HTMLInputElement[]} */ ([...node.querySelectorAll("input")]);
  /** A list or folder is taken as a whole: only a search is asked for so many. */
  function showPlace() {
    place.hidden = source.value !== "files";
    many.hidden = perClass.hidden = model.get("snapshot").lists.includes(source.value);
  }
  source.addEventListener("change", showPlace, { signal });

  return {
    root,

    /** @param {string} sentence @param {"" | "error"} [kind] */
    say(sentence, kind = "") {
      live.textContent = sentence;
      live.dataset.kind = kind;
      alarm.textContent = kind === "error" ? sentence : "";
    },

    /** What a person wishes, as it is sent. */
    wish() {
      return { rows: [...rows.children].map((node) => inputs(node).map((input) => input.value)), source: source.value,
               place: place.value, per_class: many.hidden ? model.get("snapshot").per_class : Number.parseInt(many.value, 10) || 0 };
    },

    /** @param {string} action @param {Element} target */
    act(action, target) {
      if (action === "add") inputs(rows.appendChild(row("", "")))[0].focus();
      if (action === "drop") {
        target.closest(".sbx-wish")?.remove();
        if (rows.children.length === 0) rows.append(row("", ""));
        inputs(/** @type {Element} */ (rows.lastElementChild))[0].focus();
      }
    },

    draw() {
      const { rows: given, source: chosen, place: where, per_class, state } = model.get("snapshot");
      const wanted = JSON.stringify([given, chosen, where, per_class, model.get("choices")]);
      if (wanted !== drawn) {
        drawn = wanted;
        rows.replaceChildren(...(given.length ? given : [["", ""]]).map((/** @type {[string, string]} */ [label, query]) => row(label, query)));
        source.replaceChildren(...model.get("choices").map((/** @type {[string, string]} */ [value, text]) => {
          const option = element("option", "", text);
          option.value = value;
          return option;
        }));
        source.value = chosen;
        place.value = where;
        many.value = String(per_class);
        showPlace();
      }
      const busy = state !== "idle";
      warning.textContent = model.get("warning");
      for (const control of root.querySelectorAll("input, select, .sbx-wish button")) control.toggleAttribute("disabled", busy);
      add.toggleAttribute("disabled", busy);
      start.toggleAttribute("disabled", busy);
      stop.toggleAttribute("disabled", state !== "running");
      if (before !== "idle" && !busy) this.say("Collecting has ended.");
      before = state;
    },
  };
}
