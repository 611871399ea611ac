// @ts-check
/**
 * The one panel above the grid: the keys, or the overview, else the plan that waits for a yes, else how the last apply went.
 *
 * @typedef {import("./words.js").Model} Model
 */

import { createOverview } from "./overview.js";
import { createHelp, createPlan, createResult } from "./panels.js";
import { holdsFocus } from "./words.js";

/**
 * @param {HTMLElement} panel
 * @param {HTMLElement} help the button whose state follows
 * @param {HTMLElement} overview likewise
 * @param {Model} model
 * @param {() => void} leave where the focus goes when the panel closes
 */
export function createPanel(panel, help, overview, model, leave) {
  let shown = /** @type {"" | "help" | "overview"} */ ("");
  let confusion = /** @type {any} */ (null);
  let moving = false;
  let dismissed = ""; // the plan or result that was closed here
  let drawn = "";

  const open = (/** @type {any} */ state) => state !== null && JSON.stringify(state) !== dismissed;

  function content() {
    const planned = model.get("planned");
    const result = model.get("result");
    if (shown === "help") return createHelp(model.get("classes"));
    if (shown === "overview" && confusion) return createOverview(confusion, model.get("snapshot"));
    if (open(planned)) return createPlan(planned, moving ? model.get("progress") : null);
    return open(result) ? createResult(result) : null;
  }

  function draw() {
    const state = JSON.stringify([shown, confusion, moving, dismissed, model.get("planned"), model.get("result"),
                                  moving && model.get("progress")]);
    if (state === drawn) return;
    drawn = state;
    const inside = holdsFocus(panel);
    const box = content();
    help.setAttribute("aria-expanded", String(shown === "help"));
    overview.setAttribute("aria-expanded", String(shown === "overview"));
    panel.hidden = box === null;
    panel.replaceChildren(...(box ? [box] : []));
    if (box) {
      panel.setAttribute("role", "region");
      panel.setAttribute("aria-label", box.querySelector("h3")?.textContent ?? "");
    }
    if (inside && box) panel.focus({ preventScroll: true });
    else if (inside) leave();
  }

  return {
    draw,
    get isOpen() { return !panel.hidden; },
    get isMoving() { return moving; },
    focus: () => panel.focus(),

    toggleHelp() {
      shown = shown === "help" ? "" : "help";
      draw();
    },

    get showsOverview() { return shown === "overview"; },
    /** @param {any} found by the kernel; null closes it */
    setOverview(found) {
      confusion = found;
      shown = found ? "overview" : "";
      draw();
    },

    /** Make room for a plan, even one that was closed before. */
    expectPlan() {
      shown = "";
      dismissed = "";
    },

    /** @param {boolean} now whether files are on the move */
    setMoving(now) {
      moving = now;
      shown = "";
      draw();
    },

    /** Close what is open; true when that was a plan. */
    close() {
      const planned = model.get("planned");
      const wasPlan = shown === "" && open(planned);
      if (shown) shown = "";
      else dismissed = JSON.stringify(wasPlan ? planned : model.get("result"));
      draw();
      leave();
      return wasPlan;
    },
  };
}
