// @ts-check
/**
 * When a widget's page is drawn: traits that arrive together are drawn together, and nothing is left after removal.
 *
 * @typedef {import("./words.js").Model} Model
 */

/**
 * @param {Model} model
 * @param {string[]} traits that are drawn
 * @param {() => void} draw
 * @param {AbortSignal} signal
 */
export function createDrawing(model, traits, draw, signal) {
  let dirty = false;

  function schedule() {
    if (dirty) return;
    dirty = true;
    queueMicrotask(now);
  }

  /** What is scheduled, without waiting. */
  function now() {
    if (!dirty || signal.aborted) return;
    dirty = false;
    draw();
  }

  for (const name of traits) model.on(`change:${name}`, schedule);
  signal.addEventListener("abort", () => traits.forEach((name) => model.off(`change:${name}`, schedule)));
  return { schedule, now };
}

/**
 * Show a page, drawn. What comes back removes it.
 * @param {HTMLElement} el
 * @param {HTMLElement} root
 * @param {ReturnType<typeof createDrawing>} drawing
 * @param {AbortController} controller
 */
export function mount(el, root, drawing, controller) {
  el.append(root);
  drawing.schedule();
  drawing.now();
  return () => {
    controller.abort();
    root.remove();
  };
}
