// @ts-check
/**
 * A better order that is on its way: how far it is, and when the pictures go over to it. Who is in the middle of a page
 * keeps it, until they turn it or ask for the new order; a page that nobody has touched goes over by itself.
 *
 * @typedef {import("./words.js").Model} Model
 * @typedef {{state?: "working" | "ready" | "failed", sentence?: string, done?: number, total?: number}} Ordering
 */

import { button, element, number, words } from "./words.js";

export const NEW_ORDER = "The pictures stand in their new order now, the most suspicious first.";

/** How far it is, in words; nothing while that is not known. @param {Ordering} ordering */
export const howFar = ({ done = 0, total = 0 }) => (total > 0 ? `${number(done)} of ${number(total)}` : "");

/**
 * @param {Model} model
 * @param {() => boolean} isUntouched whether nobody is in the middle of anything
 * @param {() => void} adopt asks the kernel for the new order
 */
export function createOrdering(model, isUntouched, adopt) {
  const box = element("div", "sbx-ordering");
  const sentence = element("p", "sbx-ordering-words", "", { role: "status", "aria-live": "polite" });
  const count = element("span", "sbx-percent", "", { "aria-hidden": "true" }); // else read aloud with every step
  const bar = element("div", "sbx-track", "", { role: "progressbar", "aria-label": "Ranking", "aria-valuemin": "0" });
  const fill = element("span", "sbx-fill");
  const show = button("adopt", "Show the new order", [words("Show the new order")], "sbx-primary");
  bar.append(fill);
  box.append(sentence, count, bar, show);
  let asked = false;

  const state = () => /** @type {Ordering} */ (model.get("ordering") ?? {});

  return {
    box,
    get isReady() { return state().state === "ready"; },

    draw() {
      const now = state();
      const far = howFar(now);
      box.hidden = !now.state;
      box.dataset.state = now.state ?? "";
      if (sentence.textContent !== (now.sentence ?? "")) sentence.textContent = now.sentence ?? ""; // read aloud once
      bar.hidden = count.hidden = now.state !== "working";
      show.hidden = now.state !== "ready";
      count.textContent = far;
      fill.style.width = far ? `${(100 * (now.done ?? 0)) / (now.total ?? 1)}%` : "0";
      bar.toggleAttribute("data-unknown", !far);
      if (far) {
        bar.setAttribute("aria-valuemax", String(now.total));
        bar.setAttribute("aria-valuenow", String(now.done));
        bar.setAttribute("aria-valuetext", far);
      } else for (const name of ["aria-valuemax", "aria-valuenow", "aria-valuetext"]) bar.removeAttribute(name);
      if (now.state !== "ready") asked = false;
      else if (!asked) {
        asked = true; // once: who comes back to the page must not lose it the moment they look away
        if (isUntouched()) adopt();
      }
    },
  };
}
