"""The cleaner's page without a kernel: a model that the test speaks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _cleaner import ready, save_predictions
from playwright.sync_api import Page
from tests._pictures import folders

import shoebox
from shoebox.data import Dataset
from shoebox.widgets import Cleaner

FAKE = """
(source) => new Promise(async (done) => {
  const page = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const live = { urls: 0, bitmaps: 0, handlers: 0, signals: 0, timers: new Set(), sent: [] };
  const listen = AbortSignal.prototype.addEventListener;
  AbortSignal.prototype.addEventListener = function (...arguments_) {
    live.signals += 1;
    return listen.apply(this, arguments_);
  };
  const start = window.setTimeout, stop = window.clearTimeout;
  window.setTimeout = (run, ms) => {
    const id = start(() => { live.timers.delete(id); run(); }, ms);
    live.timers.add(id);
    return id;
  };
  window.clearTimeout = (id) => { live.timers.delete(id); stop(id); };
  const create = URL.createObjectURL.bind(URL), revoke = URL.revokeObjectURL.bind(URL);
  URL.createObjectURL = (blob) => { live.urls += 1; return create(blob); };
  URL.revokeObjectURL = (url) => { live.urls -= 1; revoke(url); };
  const open = window.createImageBitmap, close = ImageBitmap.prototype.close;
  window.createImageBitmap = async (...arguments_) => {
    const bitmap = await open(...arguments_);
    live.bitmaps += 1;
    return bitmap;
  };
  ImageBitmap.prototype.close = function () { live.bitmaps -= 1; close.call(this); };
  const handlers = new Map();
  const traits = { planned: null, result: null, progress: [], notice: "", comparison: null };
  const model = {                                   // anywidget's model: get, on, off, send
    get: (name) => traits[name],
    on(name, handler) {
      if (!handlers.has(name)) handlers.set(name, new Set());
      handlers.get(name).add(handler);
      live.handlers += 1;
    },
    off(name, handler) { if (handlers.get(name)?.delete(handler)) live.handlers -= 1; },
    send: (content) => { live.sent.push(content); window.kernel.serve?.(content); },
  };
  window.kernel = {
    live, page, traits,
    hear: (name, ...values) => { for (const handler of [...(handlers.get(name) ?? [])]) handler(...values); },
    set(changes) { Object.assign(traits, changes); for (const name in changes) this.hear(`change:${name}`); },
    decide(path, kind) {
      const items = traits.snapshot.items.map((item) => (item.path === path ? { ...item, decision: kind } : item));
      this.set({ snapshot: { ...traits.snapshot, items, revision: traits.snapshot.revision + 1 } });
      return traits.snapshot.revision;
    },
    held: null,          // the requests for later pages, where a test made this a list and not yet let them through
    decided: new Set(),  // places of pictures that somebody decided before
    replies: {},         // what is answered to requests of a kind, in place of a yes
    letThrough() {
      const requests = this.held;
      this.held = null;
      requests.forEach((request) => this.serve(request));
    },
    /** A ranking of `total` pictures like the one that is drawn; every request to look is answered. */
    many(total, snapshot, classes, picture) {
      const like = snapshot.items[0], size = snapshot.page_size;
      let queue = Array.from({ length: total }, (_, index) => index);
      const page = (number) => queue.slice(number * size, (number + 1) * size).map((index) => {
        const decision = this.decided.has(index) ? "keep" : like.decision;
        return { ...like, index, path: `cat/${index}.jpg`, image_id: `id-${index}`, decision };
      });
      const counts = { ...snapshot.counts, total, shown: total };
      this.serve = (request) => {
        const { kind, id, page: number } = request;
        if (this.held && number > 0) return this.held.push(request);
        const { snapshot: now } = traits, turned = { page: number, items: page(number), revision: now.revision + 1 };
        if (kind === "view") this.set({ snapshot: { ...now, ...turned } });
        const items = kind === "look" ? page(number) : [];
        const reply = { id, ok: true, page: number, queue: snapshot.queue, items, ...this.replies[kind] };
        queueMicrotask(() => this.hear("msg:custom", reply, items.map(() => new DataView(picture.buffer))));
      };
      /** A picture leaves the queue, as a decided one leaves that of undecided ones. */
      this.drop = (path) => {
        queue = queue.filter((index) => path !== `cat/${index}.jpg`);
        const { snapshot: now } = traits, left = { ...now.counts, shown: queue.length };
        this.set({ snapshot: { ...now, counts: left, items: page(now.page), revision: now.revision + 1 } });
      };
      this.draw({ ...snapshot, counts, items: page(0), pages: Math.ceil(total / size) }, classes, picture);
    },
    draw(snapshot, classes, picture) {
      const thumbnails = Object.fromEntries(snapshot.items.map(({ path }) => [path, new DataView(picture.buffer)]));
      Object.assign(traits, { snapshot, classes, thumbnails });
      this.clean = page.default.render({ model, el: document.body });
    },
  };
  done();
})
"""


def open_alone(page: Page) -> Page:
    """The cleaner's module in an empty page with a clock of the test's; `window.kernel` is the model's other end."""
    page.clock.install()
    page.set_content("<!doctype html><meta name=viewport content=width=device-width><title>cleaner</title>")
    page.add_style_tag(content=str(Cleaner._css))
    page.evaluate(FAKE, str(Cleaner._esm))
    return page


def draw(page: Page, tmp_path: Path, n: int = 6, classes: list[str] | None = None, many: int = 0) -> list[str]:
    """The paths that are shown: `n` cats and a dog, or `many` pictures of which the kernel gives page by page."""
    ds = Dataset(folders(tmp_path / "d", {"cat": n, "dog": 1}))
    save_predictions(ds, lambda path, label: "dog")
    cleaner = Cleaner(ds, shoebox.rank(ds), page_size=n + 1)
    picture = list(next(iter(cleaner.thumbnails.values())))
    how = f"many({many}, " if many else "draw("
    page.evaluate(f"([shown, classes, picture]) => kernel.{how}shown, classes, new Uint8Array(picture))",
                  [cleaner.snapshot, classes or cleaner.classes, picture])
    ready(page, page=0)
    return [item["path"] for item in cleaner.snapshot["items"]]


def sent(page: Page) -> list[dict[str, Any]]:
    """What was asked for, without what the page asks by itself."""
    by_itself = ("watch", "look", "strips", "glance")
    return [wish for wish in page.evaluate("kernel.live.sent") if wish["kind"] not in by_itself]
