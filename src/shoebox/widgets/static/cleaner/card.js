// @ts-check
/**
 * The card of one picture.
 *
 * @typedef {import("./words.js").Item} Item
 * @typedef {import("./words.js").Kind} Kind
 */

import { WORDS, agrees, button, element, fileName, icon, kindWords, labelled, number, percent, words, write } from "./words.js";

/**
 * One line of a card: a label, a bar and a number.
 * @param {string} className
 */
function createBelief(className) {
  const node = element("div", `sbx-belief ${className}`);
  const track = element("span", "sbx-track");
  const fill = element("span", "sbx-fill");
  const name = labelled("", "sbx-name");
  const share = element("span", "sbx-percent");
  track.append(fill);
  node.append(element("span", "sbx-mark", className === "sbx-suggested" ? "→" : ""), name, share, track);
  return {
    node,
    /** @param {string} label @param {number} probability */
    show(label, probability) {
      fill.style.width = `${Math.round(Math.min(1, Math.max(0, probability)) * 100)}%`;
      name.title = label;
      write(name, label);
      write(share, percent(probability));
    },
  };
}

/** @param {HTMLElement} node @param {string} words */
function rename(node, words) {
  node.title = words;
  node.setAttribute("aria-label", words);
}

/** A card, empty. It shows one picture, and another one when it is taken again; it is told its state and never asks. */
export function createCard() {
  const row = element("div", "sbx-row", "", { role: "row" });
  const card = element("div", "sbx-card", "", { role: "gridcell" });
  const picture = element("div", "sbx-picture");
  const tags = element("span", "sbx-tags");
  const place = element("span", "sbx-place", "", { "aria-hidden": "true" });
  tags.append(place);
  const select = button("select", "Select (s)", [icon("select")], "sbx-select-one");
  const look = button("close_look", "Full size (f)", [icon("close_look")], "sbx-close-look");
  const badge = element("span", "sbx-badge");
  const canvas = element("canvas", "", "", { role: "img" });
  const missing = element("span", "sbx-no-picture", "no picture");
  picture.append(canvas, missing, tags, select, look, badge);
  const lines = element("div", "sbx-beliefs");
  const given = createBelief("sbx-given");
  const suggested = createBelief("sbx-suggested");
  lines.append(given.node, suggested.node);
  const reason = element("p", "sbx-reason");
  const strip = element("div", "sbx-strip");
  const trouble = element("p", "sbx-trouble");
  const actions = element("div", "sbx-actions");
  const keep = button("keep", "", [icon("keep")], "sbx-keep");
  const accept = button("accept", "", [icon("relabel")], "sbx-relabel");
  actions.append(
    keep, accept,
    button("other", "Another label … (o)", [icon("other")]),
    button("remove", "Remove (d)", [icon("remove")], "sbx-remove"),
    button("unsure", "Unsure (u)", [icon("unsure")], "sbx-unsure"),
  );
  card.append(picture, lines, reason, strip, trouble, actions);
  row.append(card);
  const reached = [card, ...card.querySelectorAll("button")];

  /** @type {string[]} */
  let evidence = [];
  let shown = "";
  let said = "";
  let saidOf = /** @type {Item | null} */ (null);
  let tabindex = "";
  /** @param {boolean} current */
  function setTab(current) {
    const wanted = current ? "0" : "-1";
    if (tabindex === wanted) return;
    tabindex = wanted;
    for (const node of reached) node.setAttribute("tabindex", tabindex);
  }
  setTab(false); // here, where it costs nothing: later it is a new style for each of them

  return {
    row, card, strip, setTab,
    canvas,
    thumbnail: "", // the id of the one that it shows
    get evidence() { return evidence; },
    /** Another picture, whose thumbnail is painted by whoever has it. @param {Item} item @param {string} thumbnail its id; empty when there is none */
    show(item, thumbnail) {
      shown = "";
      [said, saidOf] = [ranked(item), item];
      this.thumbnail = thumbnail;
      evidence = item.evidence;
      card.dataset.path = item.path;
      canvas.setAttribute("aria-label", fileName(item.path));
      canvas.hidden = !thumbnail;
      missing.hidden = !canvas.hidden;
      write(place, number(item.index + 1));
      showTags(tags, item);
      given.show(item.given, item.given_probability);
      suggested.node.hidden = accept.hidden = agrees(item);
      suggested.show(item.suggestion, item.suggested_probability);
      write(reason, item.reason);
      reason.title = `${item.path}\n${item.reason}`;
      strip.dataset.state = "";
      for (const one of /** @type {HTMLCollectionOf<HTMLElement>} */ (strip.children)) one.hidden = true;
      strip.hidden = evidence.length === 0;
      rename(keep, `Keep ${item.given} (k)`);
      rename(accept, `Accept ${item.suggestion} (Enter)`);
    },
    /** Whether all that stands on it, but for the decision, is what is known of this picture now. @param {Item} item */
    says(item) {
      if (item === saidOf) return true;
      if (ranked(item) !== said) return false;
      saidOf = item;
      return true;
    },
    /** @param {boolean} selected */
    mark(selected) {
      card.classList.toggle("sbx-selected", selected);
      card.setAttribute("aria-selected", String(selected));
      select.setAttribute("aria-pressed", String(selected));
    },
    /**
     * @param {Item} now
     * @param {{pending: {kind: Kind, label: string | null} | undefined, error: string | undefined}} local
     */
    update(now, { pending, error }) {
      const state = JSON.stringify([now.decision, now.decision_label, now.stale, pending, error]);
      if (state === shown) return;
      shown = state;
      const kind = now.stale ? null : now.decision;
      const saving = pending ? "saving …" : "";
      card.dataset.decision = kind ?? "";
      card.dataset.state = pending ? "saving" : error ? "error" : "";
      card.setAttribute("aria-busy", String(Boolean(pending)));
      if (badge.firstChild) badge.replaceChildren();
      badge.title = "";
      badge.dataset.kind = pending ? "saving" : now.stale ? "stale" : kind ?? "";
      if (pending) badge.append(words(saving));
      else if (now.stale) badge.append(icon("warning"), words("file changed: decide anew"));
      else if (kind) {
        badge.append(icon(kind), kind === "relabel" ? labelled(now.decision_label ?? "", "") : words(WORDS[kind]));
        if (now.who) badge.title = `by ${now.who}`;
      }
      write(trouble, error ?? "");
      for (const node of actions.children) {
        const action = /** @type {HTMLElement} */ (node).dataset.action;
        const pressed = action === kind || (action === "accept" && kind === "relabel" && now.decision_label === now.suggestion)
          || (action === "other" && kind === "relabel" && now.decision_label !== now.suggestion);
        node.setAttribute("aria-pressed", String(pressed));
      }
      card.setAttribute("aria-label", spoken(now, error ?? (pending ? "saving" : "")));
    },
  };
}

/** What a ranking says of a picture. @param {Item} item */
const ranked = (item) => JSON.stringify([item.given, item.given_probability, item.suggestion, item.suggested_probability,
                                         item.reason, item.side, item.kinds, item.evidence]);

/** Side and kinds, behind the place. @param {HTMLElement} tags @param {Item} item */
function showTags(tags, item) {
  while (tags.childElementCount > 1) tags.lastElementChild?.remove();
  if (item.side === "valid") tags.append(element("span", "sbx-side", "valid", { title: "In the validation set" }));
  const kinds = item.kinds.filter((kind) => kind !== "label");
  for (const kind of kinds.slice(0, 2)) tags.append(element("span", "sbx-kind", kindWords(kind), { title: kinds.map(kindWords).join(", ") }));
}

/** The card in words. @param {Item} item @param {string} state */
function spoken(item, state) {
  const decision = item.stale ? "decided for another version of the file"
    : item.decision === "relabel" ? `decided: ${item.decision_label}`
    : item.decision ? `decided: ${WORDS[item.decision]}` : "undecided";
  const suggestion = item.suggestion === "" ? kindWords(item.kind)
    : item.suggestion === item.given ? `the model agrees, ${percent(item.suggested_probability)}`
    : `suggested ${item.suggestion}, ${percent(item.suggested_probability)}`;
  return [`Given ${item.given}`, suggestion, decision, state].filter(Boolean).join("; ");
}
