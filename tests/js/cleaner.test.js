// The cleaner's rules on numbers, names and keys, without a page. tests/test_js.py puts this beside the modules.
import assert from "node:assert/strict";
import { test } from "node:test";

import { KEYS, accepted, chosen, labelKeys, matching, moved, nextOpen, wishOf } from "./cleaner/keys.js";
import { GAP_PX, columnsOf, pageAt, pagesOf, scrollFor, visiblePlaces } from "./cleaner/layout.js";
import { howFar } from "./cleaner/ordering.js";
import { createPages } from "./cleaner/pages.js";
import { createPictures } from "./cleaner/pictures.js";
import { neighbours, stateOf, viewOf, wishedView } from "./cleaner/views.js";
import { agrees, counted, fileName, kindWords, number, percent } from "./cleaner/words.js";

test("columns fill the width exactly and are never narrower than asked, except on the narrowest screens", () => {
  for (let width = 1; width < 3000; width += 7) {
    const { columns, cell } = columnsOf(width, 150);
    assert.ok(columns >= 1 && (cell >= 150 || columns === 1), String(width));
    assert.ok(Math.abs(columns * cell + (columns - 1) * GAP_PX - width) < 1e-6 || columns === 1);
  }
});

test("every place that touches the window exists, and few others", () => {
  for (const count of [0, 1, 7, 100, 50_000]) {
    for (const columns of [1, 2, 5, 7]) {
      const row = 262;
      const rows = Math.ceil(count / columns);
      for (const top of [0, 1, 261, 262, 1_000, Math.max(0, rows * row - 800)]) {
        const { first, last } = visiblePlaces({ top, height: 800, row, columns, count });
        for (let line = Math.floor(top / row); line * row < top + 800 && line < rows; line += 1) {
          for (let place = line * columns; place < Math.min(count, (line + 1) * columns); place += 1) {
            assert.ok(first <= place && place < last, `${place} of ${count} at ${top}`);
          }
        }
        assert.ok(last - first <= 7 * columns);
        assert.ok(last <= count && first >= 0);
      }
    }
  }
});

test("pages cover the places, and the page of a window is one of them", () => {
  assert.deepEqual(pagesOf(0, 24, 24), [0]);
  assert.deepEqual(pagesOf(20, 49, 24), [0, 1, 2]);
  assert.deepEqual(pagesOf(0, 0, 24), []);
  assert.equal(pageAt({ top: 0, row: 262, columns: 5, count: 100, size: 24 }), 0);
  assert.equal(pageAt({ top: 262 * 19, row: 262, columns: 5, count: 100, size: 24 }), 4);
  assert.equal(pageAt({ top: 0, row: 0, columns: 5, count: 100, size: 24 }), 0);
});

test("after scrolling to a row it is whole in the window, and a row that is whole moves nothing", () => {
  for (let line = 0; line < 60; line += 1) {
    const top = scrollFor({ top: 5_000, height: 800, row: 262, line });
    assert.ok(top <= line * 262 && (line + 1) * 262 <= top + 800);
    assert.equal(scrollFor({ top, height: 800, row: 262, line }), top);
  }
  assert.equal(scrollFor({ top: 0, height: 100, row: 262, line: 3 }), 786, "a window lower than a row shows its head");
});

test("every key has one meaning", () => {
  const keys = KEYS.flatMap((row) => row.keys);
  assert.equal(new Set(keys).size, keys.length);
  for (const row of KEYS) for (const key of row.keys) assert.equal(wishOf({ key }, [])?.action, row.action);
});

test("a suggestion is accepted, an empty one keeps", () => {
  const item = { given: "cat", suggestion: "dog" };
  assert.deepEqual(accepted(item), { kind: "relabel", label: "dog" });
  assert.deepEqual(accepted({ given: "cat", suggestion: "cat" }), { kind: "keep", label: null });
  assert.deepEqual(accepted({ given: "cat", suggestion: "" }), { kind: "keep", label: null });
  assert.deepEqual(chosen(item, "cat"), { kind: "keep", label: null });
  assert.equal(agrees({ given: "cat", suggestion: "" }), true);
});

test("the focus goes to the next open one, round the end", () => {
  assert.equal(nextOpen(0, [true, false, true]), 2);
  assert.equal(nextOpen(2, [true, false, false]), 0);
  assert.equal(nextOpen(1, [false, false, false]), -1);
  assert.equal(moved("ArrowDown", 5, 7, 3), 6);
  assert.equal(moved("ArrowUp", 2, 7, 3), 2);
});

test("words", () => {
  assert.equal(number(50_000), "50\u202f000");
  assert.equal(percent(0.004), "<\u202f1\u202f%");
  assert.equal(percent(0.999), ">\u202f99\u202f%");
  assert.equal(counted(1, "file", "files"), "1 file");
  assert.equal(fileName("a/b/c.jpg"), "c.jpg");
  assert.equal(kindWords("some_new_kind"), "some new kind");
  assert.deepEqual(matching(["Café", "Eis-Café"], "CAFÉ"), ["Café", "Eis-Café"]);
  assert.equal(labelKeys(["a", "b"])[0].keys.join(""), "ab");
});

test("the classes beside the one that is shown, the next ones first", () => {
  const classes = ["a", "b", "c", "d", "e"].map((label) => ({ label, total: 1, decided: 0 }));
  assert.deepEqual(neighbours({ classes, label: null }), ["a", "b"]);
  assert.deepEqual(neighbours({ classes, label: "a" }), ["b", null, "c"]);
  assert.deepEqual(neighbours({ classes, label: "c" }), ["d", "b", "e", "a"]);
  assert.deepEqual(neighbours({ classes, label: "e" }), ["d", "c"]);
  assert.deepEqual(neighbours({ classes, label: "gone" }), []);
});

test("a wish changes the filters that it names, and nothing else", () => {
  const now = { label: "a", suggested: null, kind: "dark", source: null, side: null, status: "all", page: 3 };
  assert.equal(wishedView(now, { page: 0 }), viewOf(now));
  assert.equal(wishedView(now, { label: null, page: 0 }), viewOf({ ...now, label: null }));
  assert.equal(wishedView(now, { issue_kind: null }), viewOf({ ...now, kind: null }));
  assert.notEqual(wishedView(now, { side: "valid" }), viewOf(now));
});

test("a decision, here or elsewhere, and a file that is gone make another state", () => {
  const now = { line: 4, counts: { total: 9, decided: 2, gone: 0 } };
  assert.equal(stateOf(now), stateOf({ ...now, revision: 9, page: 2 }));
  assert.notEqual(stateOf(now), stateOf({ ...now, line: 5 }));
  assert.notEqual(stateOf(now), stateOf({ ...now, counts: { total: 8, decided: 2, gone: 1 } }));
});

test("whoever decides faster than pages are brought up to date still gets the next page", async () => {
  const asked = [];
  /** @type {((reply: any) => void)[]} */
  const waiting = [];
  const ask = (_, { page }) => new Promise((answer) => { asked.push(page); waiting.push(() => answer({ queue: 1, items: [{ path: `${page}`, image_id: `${page}` }], buffers: [] })); });
  const pictures = { add() {}, has: () => true, keep() {} };
  const signal = new AbortController().signal;
  const pages = createPages(ask, pictures, () => {}, () => {}, signal);
  const answer = async () => { waiting.shift()?.(); await new Promise(setImmediate); };
  const snapshot = (revision) => ({ page: 0, page_size: 1, pages: 9, queue: 1, revision, items: [{ path: "0", image_id: "0" }] });
  pages.take(snapshot(1), {});
  pages.want([0, 1, 3]);
  await answer();
  await answer();
  for (let revision = 2; revision < 6; revision += 1) { // each decision makes every page old
    pages.take(snapshot(revision), {});
    pages.want([1, 3, 0, 2]);
    await answer();
  }
  assert.ok(asked.slice(0, 5).includes(2), `asked for ${asked}`);
  assert.equal(pages.item(2)?.path, "2");
});

test("what was asked for in the queue before is not taken for the new one", async () => {
  const asked = [];
  let reply = (/** @type {any} */ _) => {};
  const ask = (_, { page }) => new Promise((answer) => { asked.push(page); reply = answer; });
  const pages = createPages(ask, { add() {}, has: () => true, keep() {} }, () => {}, () => {}, new AbortController().signal);
  const snapshot = { page: 0, page_size: 1, pages: 9, queue: 1, revision: 1, items: [{ path: "old 0", image_id: "0" }] };
  pages.take(snapshot, {});
  pages.want([0, 1]);
  pages.clear();
  pages.take({ ...snapshot, items: [{ path: "new 0", image_id: "1" }] }, {});
  reply({ queue: 1, items: [{ path: "old 1", image_id: "2" }], buffers: [] });
  await new Promise(setImmediate);
  assert.equal(pages.item(1), undefined);
  assert.deepEqual(asked, [1, 1], "and is asked for again");
});

test("a decision is drawn from its answer, and other pages are asked for again when decisions rest", async () => {
  const asked = [];
  const ask = async (_, { page }) => { asked.push(page); return { queue: 1, items: [{ path: `${page}`, image_id: `${page}`, decision: null }], buffers: [] }; };
  const own = new AbortController();
  const pages = createPages(ask, { add() {}, has: () => true, keep() {} }, () => {}, () => {}, own.signal);
  const snapshot = { page: 0, page_size: 1, pages: 9, queue: 1, revision: 1, items: [{ path: "0", image_id: "0" }] };
  pages.take(snapshot, {});
  pages.want([0, 1]);
  await new Promise(setImmediate);
  assert.deepEqual(asked, [1]);
  pages.take({ ...snapshot, revision: 2 }, {});
  pages.want([0, 1]);
  pages.renew([{ path: "1", image_id: "1", decision: "keep" }, { path: "elsewhere" }]);
  assert.equal(pages.item(1)?.decision, "keep");
  await new Promise(setImmediate);
  assert.deepEqual(asked, [1], "not with every key");
  await new Promise((go) => setTimeout(go, 1000));
  assert.deepEqual(asked, [1, 1], "but soon");
  pages.take({ ...snapshot, revision: 3, queue: 2 }, {});
  pages.want([0, 1]);
  await new Promise(setImmediate);
  assert.deepEqual(asked, [1, 1, 1], "and at once when places have changed");
  own.abort();
});

test("how far a ranking is stands in words as soon as it is known", () => {
  assert.equal(howFar({ done: 0, total: 0 }), "");
  assert.equal(howFar({ state: "ready" }), "");
  assert.equal(howFar({ done: 0, total: 12 }), "0 of 12");
  assert.equal(howFar({ done: 1280, total: 1600 }), "1\u202f280 of 1\u202f600");
});

test("what was seen ahead in another order is not fresh", () => {
  const counts = { total: 5, decided: 1, gone: 0 };
  assert.equal(stateOf({ line: 3, order: 0, counts }), stateOf({ line: 3, order: 0, counts: { ...counts } }));
  assert.notEqual(stateOf({ line: 3, order: 0, counts }), stateOf({ line: 3, order: 1, counts }));
});

test("every card gets its picture, also where more are opened at once than are kept", async () => {
  const bitmaps = { open: 0, drawn: 0 };
  globalThis.createImageBitmap = async () => {
    await new Promise(setImmediate);
    bitmaps.open += 1;
    return { width: 4, height: 3, close() { bitmaps.open -= 1; } };
  };
  const canvas = () => ({ getContext: () => ({ drawImage() { bitmaps.drawn += 1; } }) });
  const controller = new AbortController();
  const pictures = createPictures(controller.signal);
  const keys = Array.from({ length: 300 }, (_, number) => `${number}`);
  for (const key of keys) pictures.add(key, new DataView(new ArrayBuffer(8)));
  for (const key of keys) pictures.paint(key, canvas());
  await Promise.all(pictures.opening(keys));
  await new Promise(setImmediate);
  assert.equal(bitmaps.drawn, 300);
  pictures.paint("0", canvas());
  assert.ok(bitmaps.open <= 160, `${bitmaps.open} are open`);
  controller.abort();
  assert.equal(bitmaps.open, 0);
});
