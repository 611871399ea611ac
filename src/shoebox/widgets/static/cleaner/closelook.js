// @ts-check
/**
 * One picture in full, over everything: its pixels, file, source, and what was decided about it.
 *
 * @typedef {import("./words.js").Item} Item
 */

import { agrees, button, element, fileName, icon, moment, number, percent, words } from "./words.js";

const ACTIONS = /** @type {const} */ ([["keep", "Keep (k)"], ["accept", "Accept the suggestion (Enter)"], ["remove", "Remove (d)"], ["unsure", "Unsure (u)"]]);

/**
 * @param {HTMLElement} root
 * @param {(path: string) => void} leave where the focus goes
 * @param {AbortSignal} signal
 */
export function createCloseLook(root, leave, signal) {
  const dialog = element("dialog", "sbx-close-up", "", { "aria-label": "Close look", tabindex: "-1" });
  const picture = element("div", "sbx-large");
  const facts = element("div", "sbx-facts");
  const bar = element("div", "sbx-buttons");
  const told = element("p", "sbx-told", "", { role: "status", "aria-live": "polite" }); // the page's own is behind it
  dialog.append(picture, facts, told, bar);
  root.append(dialog);
  let url = "";

  function giveBack() {
    if (url) URL.revokeObjectURL(url);
    url = "";
  }
  dialog.addEventListener("close", () => {
    giveBack();
    picture.replaceChildren();
    const path = dialog.dataset.path ?? "";
    delete dialog.dataset.path;
    leave(path); // the browser has given the focus back to where it was before
  }, { signal });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }, { signal });
  signal.addEventListener("abort", giveBack);

  /** Say so when the picture is a smaller copy. @param {HTMLImageElement} image @param {any} found */
  function showSize({ naturalWidth: width, naturalHeight: height }, found) {
    const pixels = facts.querySelector(".sbx-pixels");
    if (pixels && dialog.dataset.path === found.path && width * height < found.width_px * found.height_px) {
      pixels.textContent = `${pixelsOf(found)}, shown at ${number(width)} × ${number(height)}`;
    }
  }

  return {
    get isOpen() { return dialog.open; },
    get path() { return dialog.dataset.path ?? ""; },
    close: () => dialog.close(),
    focus: () => dialog.focus(),
    /** Something to be seen and reached while all else is behind this. @param {HTMLElement} box */
    take: (box) => told.before(box),
    /** Close it, and go on when the focus is back on the page. @param {() => void} then */
    closeThen(then) {
      dialog.addEventListener("close", then, { once: true });
      dialog.close();
    },

    /** Open at once with the thumbnail; the large picture and the facts follow. @param {Item} item @param {string} thumbnail */
    open(item, thumbnail) {
      giveBack();
      dialog.dataset.path = item.path;
      const image = element("img", "", "", { alt: fileName(item.path) });
      if (thumbnail) image.src = thumbnail;
      picture.replaceChildren(image);
      facts.replaceChildren(headline(item), element("p", "sbx-waiting", "loading …"));
      bar.replaceChildren(
        ...ACTIONS.filter(([action]) => action !== "accept" || !agrees(item)).map(([action, name]) => button(
          action, name, [icon(action === "accept" ? "relabel" : action), words(action === "accept" ? item.suggestion : action)])),
        button("close_look", "Close (Esc)", [words("Close")]),
      );
      if (!dialog.open) {
        told.textContent = "";
        dialog.showModal();
      }
      dialog.focus(); // not on a button: Enter accepts the suggestion, as on a card
    },

    /** @param {any} found the kernel's answer @param {Item} item */
    fill(found, item) {
      if (dialog.dataset.path !== found.path) return;
      giveBack();
      const bytes = found.buffers[0];
      if (bytes?.byteLength) {
        url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
        const image = element("img", "", "", { src: url, alt: fileName(found.path) });
        image.decode().then(() => showSize(image, found), () => {}); // another one has taken its place
        picture.replaceChildren(image);
      } else picture.replaceChildren(element("p", "sbx-no-picture", "This picture cannot be opened."));
      facts.replaceChildren(headline(item), table(found), ...found.reasons.map((/** @type {string} */ reason) => element("p", "sbx-why", reason)),
                            history(found.history));
    },

    /** @param {string} sentence @param {string} kind */
    say(sentence, kind) {
      told.textContent = sentence;
      told.dataset.kind = kind;
    },

    /** @param {string} sentence */
    fail(sentence) {
      facts.querySelector(".sbx-waiting")?.replaceWith(element("p", "sbx-warning", sentence));
    },
  };
}

/** @param {Item} item */
function headline(item) {
  const line = element("h3");
  line.append(element("bdi", "", item.given), words(agrees(item) ? "" : " → "), element("bdi", "", agrees(item) ? "" : item.suggestion),
              words(item.suggestion ? ` ${percent(item.suggested_probability)}` : ""));
  return line;
}

/** @param {any} found */
const pixelsOf = (found) => `${number(found.width_px)} × ${number(found.height_px)}`;

/** @param {any} found */
function table(found) {
  const rows = [["File", found.path], ["Pixels", pixelsOf(found)],
                ["Size", `${number(Math.ceil(found.size_bytes / 1024))} KB ${found.format}`]];
  for (const source of found.sources) for (const [name, value] of Object.entries(source)) rows.push([name.replaceAll("_", " "), String(value)]);
  const list = element("dl");
  for (const [name, value] of rows) {
    const text = element("dd");
    text.append(element("bdi", name === "Pixels" ? "sbx-pixels" : "", value));
    list.append(element("dt", "", name), text);
  }
  return list;
}

/** @param {{kind: string, label: string | null, who: string, at: string, undone: boolean, applied: boolean}[]} entries */
function history(entries) {
  const box = element("div", "sbx-history");
  box.append(element("h4", "", entries.length ? "Decisions" : "No decision yet"));
  const list = element("ol");
  for (const entry of entries) {
    const line = element("li");
    line.append(element("time", "", moment(entry.at), { datetime: entry.at }), words(" "),
                element("bdi", "", entry.who), words(": "), element("bdi", "", entry.label ?? entry.kind),
                words(entry.undone ? " (taken back)" : entry.applied ? " (applied)" : ""));
    list.append(line);
  }
  box.append(list);
  return box;
}
