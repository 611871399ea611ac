// @ts-check
/**
 * The collector's page: a form, a bar per class, pictures as they arrive. The kernel owns what is collected, and
 * everything drawn here can be drawn again from its traits; this page owns what is being typed.
 *
 * `shoebox.widgets` joins the parts in `collector/`, line and drawing of the cleaner, and this file to one module.
 *
 * @typedef {import("./cleaner/words.js").Model} Model
 * @typedef {import("./collector/arrivals.js").Snapshot} Snapshot
 */

import { createDrawing, mount } from "./cleaner/drawing.js";
import { Refusal, SILENT, Silence, createLine } from "./cleaner/line.js";
import { createArrivals } from "./collector/arrivals.js";
import { createForm } from "./collector/form.js";

const TRAITS = ["snapshot", "thumbnails", "choices", "warning"];
const LISTEN_EVERY_MS = 5_000;

/**
 * @param {{model: Model, el: HTMLElement}} context
 * @returns {() => void}
 */
function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;
  const ask = createLine(model, signal);
  const form = createForm(model, signal);
  const arrivals = createArrivals(model, signal);
  const { root } = form;
  root.append(arrivals.node);
  const snapshot = () => /** @type {Snapshot} */ (model.get("snapshot"));
  const drawing = createDrawing(model, TRAITS, draw, signal);

  /** @param {unknown} error @param {string} what */
  function complain(error, what) {
    if (error instanceof Silence) form.say(`${what}: ${SILENT}. It may be busy or gone: look at the notebook, then try again.`, "error");
    else if (error instanceof Refusal) form.say(`${what}: ${error.message}`, "error");
    else throw error;
  }

  function draw() {
    form.draw();
    arrivals.draw();
    root.dataset.state = snapshot().state;
  }

  async function start() {
    try {
      await ask("start", form.wish());
      form.say("Collecting.");
    } catch (error) {
      complain(error, "Nothing was started");
    }
  }

  async function stop() {
    try {
      await ask("stop");
      form.say("Stopping; what is stored stays.");
    } catch (error) {
      complain(error, "It was not stopped");
    }
  }

  /** A kernel that is gone would leave the bars standing still for ever. */
  async function listen() {
    if (snapshot().state === "idle") return;
    try {
      await ask("ping");
    } catch (error) {
      complain(error, "No news");
    }
  }

  root.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  }, { signal });
  root.addEventListener("click", (event) => {
    const action = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-action]"))?.dataset.action;
    if (action === "stop") stop();
    else form.act(action ?? "", /** @type {Element} */ (event.target));
  }, { signal });
  // Keys that are typed here are not the notebook's
  root.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
  const timer = setInterval(listen, LISTEN_EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return mount(el, root, drawing, controller);
}

export default { render };
