// @ts-check
/** The box that finds one of many labels. */

import { matching } from "./keys.js";
import { element, number } from "./words.js";

const MAX_CHOICES = 200;

/**
 * A small box to find one of many labels by typing. Nothing is decided before Enter or a click.
 * @param {HTMLElement} root
 * @param {() => string[]} classes
 * @param {AbortSignal} signal
 */
export function createChooser(root, classes, signal) {
  const id = `sbx-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const box = element("div", "sbx-chooser", "", { role: "dialog", "aria-label": "Another label" });
  const input = element("input", "sbx-search", "", {
    type: "text", role: "combobox", "aria-label": "Another label", "aria-expanded": "true", "aria-controls": id,
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", placeholder: "Type or choose a label",
  });
  const list = element("ul", "sbx-choices", "", { role: "listbox", id, "aria-label": "Labels" });
  const more = element("p", "sbx-more");
  box.append(input, list, more);
  box.hidden = true;
  root.append(box);
  /** @type {((label: string | null) => void) | null} */
  let answer = null;
  let active = 0;

  /** @param {string | null} label */
  function finish(label) {
    const reply = answer;
    answer = null;
    box.hidden = true;
    reply?.(label);
  }

  /** @param {number} place */
  function activate(place) {
    const options = [...list.children];
    active = Math.max(-1, Math.min(place, options.length - 1));
    options.forEach((option, own) => option.setAttribute("aria-selected", String(own === active)));
    const option = /** @type {HTMLElement | undefined} */ (options[active]);
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    // scrollIntoView would move the whole notebook
    list.scrollTop = Math.min(option.offsetTop, Math.max(list.scrollTop, option.offsetTop + option.offsetHeight - list.clientHeight));
    return undefined;
  }

  function fill() {
    const found = matching(classes(), input.value);
    list.replaceChildren(...found.slice(0, MAX_CHOICES).map((name, place) => {
      const option = element("li", "sbx-choice", "", { role: "option", id: `${id}-${place}`, title: name });
      option.append(element("bdi", "", name));
      option.dataset.label = name;
      return option;
    }));
    more.textContent = found.length === 0 ? "No label like this." : found.length > MAX_CHOICES
      ? `and ${number(found.length - MAX_CHOICES)} more: type to narrow` : "";
    activate(input.value.trim() ? 0 : -1); // nothing is chosen by Enter alone
  }

  input.addEventListener("input", fill, { signal });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.key === "Tab") return;
    event.stopPropagation();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") activate(Math.max(0, active + (event.key === "ArrowDown" ? 1 : -1)));
    else if (event.key === "Enter") {
      const label = /** @type {HTMLElement | undefined} */ (list.children[active])?.dataset.label;
      if (label !== undefined) finish(label);
    } else if (event.key === "Escape") finish(null);
    else return;
    event.preventDefault();
  }, { signal });
  list.addEventListener("mousedown", (event) => event.preventDefault(), { signal }); // the focus stays in the input
  list.addEventListener("click", (event) => {
    const option = /** @type {Element} */ (event.target).closest(".sbx-choice");
    if (option) finish(/** @type {HTMLElement} */ (option).dataset.label ?? null);
  }, { signal });
  box.addEventListener("focusout", (event) => {
    if (answer && !box.contains(/** @type {Node | null} */ (event.relatedTarget))) finish(null);
  }, { signal });

  return {
    /** @param {HTMLElement} card @param {(label: string | null) => void} reply */
    open(card, reply) {
      finish(null);
      answer = reply;
      input.value = "";
      box.hidden = false;
      fill();
      const outer = root.getBoundingClientRect();
      const inner = card.getBoundingClientRect();
      const left = Math.min(inner.left - outer.left, outer.width - box.offsetWidth - 4);
      const below = inner.top - outer.top;
      const fits = below + box.offsetHeight <= outer.height;
      box.style.left = `${Math.max(4, left)}px`;
      box.style.top = `${Math.max(4, fits ? below : inner.bottom - outer.top - box.offsetHeight)}px`;
      input.focus({ preventScroll: true });
    },
  };
}
