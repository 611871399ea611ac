// @ts-check
/**
 * What has come so far: a bar per class, the newest pictures, where they are from, and what sources said.
 *
 * @typedef {import("../cleaner/words.js").Model} Model
 * @typedef {{label: string, done: number, total: number, added: number, duplicate: number, refused: number}} Class
 * @typedef {{image_id: string, path: string, label: string, title: string}} Picture
 * @typedef {{state: "idle" | "running" | "stopping", rows: [string, string][], source: string, place: string,
 *   per_class: number, classes: Class[], pictures: Picture[], sites: [string, number][], notes: string[],
 *   searching: string, summary: string, revision: number}} Snapshot
 */

import { createUrls } from "../cleaner/urls.js";
import { element, labelled, number } from "../cleaner/words.js";

/** @param {Model} model @param {AbortSignal} signal */
export function createArrivals(model, signal) {
  const node = element("div", "sbx-arrivals");
  const summary = element("p", "sbx-decided");
  const searching = element("p", "sbx-searching");
  const classes = element("div", "sbx-bars", "", { role: "group", "aria-label": "Progress per class" });
  const notes = element("ul", "sbx-notes", "", { "aria-label": "What sources said" });
  const pictures = element("ul", "sbx-arrived", "", { "aria-label": "Newest pictures" });
  const balance = element("div", "sbx-bars", "", { role: "group", "aria-label": "Pictures added per class" });
  const sites = element("div", "sbx-bars", "", { role: "group", "aria-label": "Sites they came from" });
  node.append(summary, searching, classes, notes, pictures, element("h3", "", "Balance of the classes"), balance,
              element("h3", "", "Sites they came from"), sites);
  const urls = createUrls(signal);

  /** @param {string} name @param {number} part @param {number} whole @param {string} text @param {Record<string, string>} [attributes] */
  function bar(name, part, whole, text, attributes = {}) {
    const row = element("div", "sbx-barline");
    const meter = element("div", "sbx-meter", "", attributes);
    const fill = element("span", "sbx-filled");
    fill.style.width = `${whole ? (100 * part) / whole : 0}%`;
    meter.append(fill);
    row.append(labelled(name, "sbx-name"), meter, element("span", "sbx-count", text));
    return row;
  }

  /** @param {Class} one */
  function progress({ label, done, total, added, duplicate, refused }) {
    const text = `${number(added)} added, ${number(duplicate)} duplicates, ${number(refused)} refused of ${number(total)}`;
    return bar(label, done, total, text, { role: "progressbar", "aria-label": label, "aria-valuemin": "0",
      "aria-valuenow": String(done), "aria-valuemax": String(total), "aria-valuetext": text });
  }

  /** @param {Picture} picture */
  function card(picture) {
    const item = element("li", "", "", { title: picture.title || picture.path });
    const image = element("img", "", "", { alt: `${picture.label}: ${picture.title || picture.path}`, "data-id": picture.image_id });
    image.src = urls.of(picture.image_id);
    item.append(image, labelled(picture.label, "sbx-name"));
    return item;
  }

  return {
    node,
    draw() {
      const snapshot = /** @type {Snapshot} */ (model.get("snapshot"));
      summary.textContent = snapshot.summary;
      searching.textContent = snapshot.searching;
      classes.replaceChildren(...snapshot.classes.map(progress));
      notes.replaceChildren(...snapshot.notes.map((note) => element("li", "", note)));
      const thumbnails = model.get("thumbnails");
      snapshot.pictures.forEach((picture) => urls.add(picture.image_id, thumbnails[picture.path]));
      urls.keepOnly(new Set(snapshot.pictures.map((picture) => picture.image_id)));
      const shown = [...pictures.querySelectorAll("img")].map((image) => image.dataset.id).join();
      if (shown !== snapshot.pictures.map(({ image_id }) => image_id).join()) pictures.replaceChildren(...snapshot.pictures.map(card));
      const most = Math.max(1, ...snapshot.classes.map(({ added }) => added));
      balance.replaceChildren(...snapshot.classes.map(({ label, added }) => bar(label, added, most, number(added))));
      const mostSite = Math.max(1, ...snapshot.sites.map(([, count]) => count));
      sites.replaceChildren(...snapshot.sites.map(([site, count]) => bar(site, count, mostSite, number(count))));
      node.hidden = snapshot.classes.length === 0 && snapshot.notes.length === 0;
    },
  };
}
