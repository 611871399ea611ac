// @ts-check
/**
 * The one panel above the grid: the keys, else the plan that waits for a yes, else how the last apply went.
 *
 * @typedef {import("./words.js").Model} Model
 */

import { createHelp, createPlan, createResult } from "./panels.js";

/**
 * @param {HTMLElement} panel
 * @param {HTMLElement} help the button whose state follows
 * @param {Model} model
 * @param {() => void} leave where the focus goes when the panel closes
 */
export function createPanel(panel, help, model, leave) {
  let helping = false;
  let moving = false;
  let dismissed = ""; // the plan or result that was closed here
  let drawn = "";

  const open = (/** @type {any} */ state) => state !== null && JSON.stringify(state) !== dismissed;

  function content() {
    const planned = model.get("planned");
    const result = model.get("result");
    if (helping) return createHelp(model.get("classes"));
    if (open(planned)) return createPlan(planned, result, moving ? model.get("progress") : null);
    return open(result) ? createResult(result) : null;
  }

  function draw() {
    const state = JSON.stringify([helping, moving, dismissed, model.get("planned"), model.get("result"),
                                  moving && model.get("progress")]);
    if (state === drawn) return;
    drawn = state;
    const inside = panel.contains(/** @type {Document | ShadowRoot} */ (panel.getRootNode()).activeElement);
    const box = content();
    help.setAttribute("aria-expanded", String(helping));
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
      helping = !helping;
      draw();
    },

    /** Make room for a plan, even one that was closed before. */
    expectPlan() {
      helping = false;
      dismissed = "";
    },

    /** @param {boolean} now whether files are on the move */
    setMoving(now) {
      moving = now;
      helping = false;
      draw();
    },

    /** Close what is open; true when that was a plan. */
    close() {
      const planned = model.get("planned");
      const wasPlan = !helping && open(planned);
      if (helping) helping = false;
      else dismissed = JSON.stringify(wasPlan ? planned : model.get("result"));
      draw();
      leave();
      return wasPlan;
    },
  };
}
