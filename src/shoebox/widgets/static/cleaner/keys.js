// @ts-check
/**
 * Keys and what they mean: one table for the handler and the help, and the pure rules around it.
 *
 * @typedef {import("./words.js").Item} Item
 * @typedef {import("./words.js").Kind} Kind
 * @typedef {{action: string, label?: string}} Wish
 */

import { agrees } from "./words.js";

/** Every key, what it does, and the words of the help. The first key of a row is the one to show on buttons. */
export const KEYS = [
  { keys: ["Enter"], action: "accept", on: "card", words: "Accept the suggestion (keep, when it is the given label)" },
  { keys: ["k"], action: "keep", on: "card", words: "Keep the given label" },
  { keys: ["d", "Delete"], action: "remove", on: "card", words: "Remove from the data set (to the trash)" },
  { keys: ["u"], action: "unsure", on: "card", words: "Unsure: leave it, and remember that you looked" },
  { keys: ["o"], action: "other", on: "card", words: "Choose another label" },
  { keys: ["f", " "], action: "close_look", on: "card", words: "Full size: the whole picture, its file, source and history" },
  { keys: ["s"], action: "select", on: "card", words: "Select or unselect; Shift and a click select up to here" },
  { keys: ["a"], action: "alike", on: "card", words: "Select all undecided pictures like this one (same label, same suggestion)" },
  { keys: ["z"], action: "undo", on: "anywhere", words: "Undo the last decision, or step of many" },
  { keys: ["Z"], action: "redo", on: "anywhere", words: "Redo what was undone" },
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], action: "move", on: "card", words: "Move between pictures" },
  { keys: ["Home", "End"], action: "edge", on: "card", words: "First or last picture of all" },
  { keys: ["n", "PageDown"], action: "next", on: "anywhere", words: "Next page" },
  { keys: ["p", "PageUp"], action: "previous", on: "anywhere", words: "Previous page" },
  { keys: ["/"], action: "filter", on: "anywhere", words: "Go to the class filter" },
  { keys: ["m"], action: "overview", on: "anywhere", words: "Overview: confusion matrix, classes and kinds to open" },
  { keys: ["?"], action: "help", on: "anywhere", words: "Show or hide these keys" },
  { keys: ["Escape"], action: "back", on: "anywhere", words: "Close what is open, back to the pictures" },
];
export const ACTION_OF = new Map(KEYS.flatMap((row) => row.keys.map((key) => [key, row])));
const KEY_NAMES = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", PageDown: "Page Down", PageUp: "Page Up", Escape: "Esc", " ": "Space", Z: "Shift z",
};

/** @param {string} key */
export const keyName = (key) => KEY_NAMES[/** @type {keyof typeof KEY_NAMES} */ (key)] ?? key;

/**
 * What a key means, or null.
 * @param {{key: string, code?: string, shiftKey?: boolean, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean}} event
 * @param {string[]} classes
 * @returns {Wish | null}
 */
export function wishOf(event, classes) {
  const { key } = event;
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) return key.toLowerCase() === "z" ? { action: event.shiftKey ? "redo" : "undo" } : null;
  const command = ACTION_OF.get(key);
  if (command && !(key === "Z" && classes.some((name) => name.toLowerCase() === "z"))) return { action: command.action };
  if ([...key].length !== 1) return null;
  const named = classes.find((name) => name === key)
    ?? classes.find((name) => [...name].length === 1 && name.toLowerCase() === key.toLowerCase());
  if (named !== undefined) return { action: "label", label: named };
  if (/^[0-9]$/.test(key)) {
    const label = classes[(Number(key) + 9) % 10]; // 1 is the first class, 0 the tenth
    return label === undefined ? null : { action: "label", label };
  }
  // On a Cyrillic or Greek keyboard the letter keys are where they are printed in Latin.
  const latin = key > "\u007f" && /^Key[A-Z]$/.test(event.code ?? "") ? ACTION_OF.get(event.code?.[3].toLowerCase() ?? "") : null;
  return latin ? { action: latin.action } : null;
}

/**
 * What accepting the suggestion decides.
 * @param {Item} item
 * @returns {{kind: Kind, label: string | null}}
 */
export const accepted = (item) =>
  agrees(item) ? { kind: "keep", label: null } : { kind: "relabel", label: item.suggestion };

/**
 * What choosing a label decides: the given one is a keep.
 * @param {Item} item
 * @param {string} label
 * @returns {{kind: Kind, label: string | null}}
 */
export const chosen = (item, label) =>
  label === item.given ? { kind: "keep", label: null } : { kind: "relabel", label };

/**
 * Where the focus goes from place `from`: the next one that `open` lets through, from the start again at the end.
 * @param {number} from
 * @param {boolean[]} open
 */
export function nextOpen(from, open) {
  for (let step = 1; step <= open.length; step += 1) {
    const place = (from + step) % open.length;
    if (open[place]) return place;
  }
  return -1;
}

/**
 * The place an arrow key leads to, in a grid with so many columns.
 * @param {string} key
 * @param {number} place
 * @param {number} count
 * @param {number} columns
 */
export function moved(key, place, count, columns) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key] ?? 0;
  if (place + step < 0) return place;
  if (place + step < count) return place + step;
  const lastRow = Math.floor((count - 1) / columns);
  return key === "ArrowDown" && Math.floor(place / columns) < lastRow ? count - 1 : place;
}

/**
 * Names that contain what was typed, those that begin with it first.
 * @param {string[]} names
 * @param {string} typed
 */
export function matching(names, typed) {
  const plain = (/** @type {string} */ text) => text.normalize("NFC").toLocaleLowerCase();
  const wanted = plain(typed.trim());
  const found = names.filter((name) => plain(name).includes(wanted));
  return [...found.filter((name) => plain(name).startsWith(wanted)), ...found.filter((name) => !plain(name).startsWith(wanted))];
}

/** The keys that stand for classes, as rows of the help. @param {string[]} classes */
export function labelKeys(classes) {
  const named = classes.filter((name) => [...name].length === 1);
  const taken = named.some((name) => ACTION_OF.has(name.toLowerCase()));
  const digits = named.some((name) => /^[0-9]$/.test(name)) ? [] : classes.slice(0, 10);
  const rows = [];
  if (named.length) {
    const keys = named.length > 3 ? [named[0], "…", named[named.length - 1]] : named;
    rows.push({ keys, words: `The class of that name${taken ? "; with Shift, where the letter has another meaning" : ""}` });
  }
  digits.forEach((name, place) => rows.push({ keys: [String((place + 1) % 10)], words: name }));
  return rows;
}
