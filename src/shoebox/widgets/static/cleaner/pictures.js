// @ts-check
/**
 * Thumbnails by image id. What is near a person who stays is opened ahead, so that a card that is drawn later has its
 * picture at once; of what somebody scrolls past, only what is seen is opened.
 *
 * They are painted on the cards' canvases and not shown by `<img>`: what a browser has loaded for an image it keeps
 * until it tidies up, and a walk through 50,000 pictures loads many. A bitmap gives its pixels back when it is told.
 */

import { createUrls } from "./urls.js";

const MOST_OPEN = 160; // of 256 × 192 pixels that is 30 MB

/** Nothing, until there is something. @param {HTMLCanvasElement} canvas */
function blank(canvas) {
  Object.assign(canvas, { width: 1, height: 1 });
}

/** @param {HTMLCanvasElement} canvas @param {ImageBitmap | null} bitmap null: it cannot be opened, and is crossed out */
function draw(canvas, bitmap) {
  const [width, height] = [bitmap?.width ?? 64, bitmap?.height ?? 48];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) return;
  if (bitmap) return context.drawImage(bitmap, 0, 0);
  context.fillStyle = "#888";
  context.fillRect(0, 0, width, height);
  for (const [x, to] of [[0, width], [width, 0]]) {
    context.moveTo(x, 0);
    context.lineTo(to, height);
  }
  context.stroke();
}

/** @param {AbortSignal} signal */
export function createPictures(signal) {
  const urls = createUrls(signal);
  /** @type {Map<string, DataView>} */
  const files = new Map();
  /** @type {Map<string, {bitmap: ImageBitmap | null, opened: Promise<void> | null}>} */
  const pictures = new Map(); // the one that was asked for last is the last
  /** @type {Map<string, string[]>} */
  const wanted = new Map(); // by who wants them
  /** @type {WeakMap<HTMLCanvasElement, string>} */
  const shown = new WeakMap();
  signal.addEventListener("abort", () => {
    [...pictures.keys()].forEach(drop);
    files.clear();
  });

  /** @param {string} key */
  function drop(key) {
    pictures.get(key)?.bitmap?.close();
    pictures.delete(key);
  }

  /** Give back the oldest beyond the limit, but none that a card still waits for. */
  function trim() {
    for (const [key, { opened }] of pictures) {
      if (pictures.size <= MOST_OPEN) break;
      if (!opened) drop(key);
    }
  }

  /** @param {string} key */
  function open(key) {
    const known = pictures.get(key);
    const file = files.get(key);
    if (known) {
      pictures.delete(key);
      pictures.set(key, known);
    }
    if (known || !file) return known;
    const picture = { bitmap: /** @type {ImageBitmap | null} */ (null), opened: /** @type {Promise<void> | null} */ (null) };
    picture.opened = createImageBitmap(new Blob([/** @type {any} */ (file)], { type: "image/jpeg" })).then((bitmap) => {
      if (pictures.get(key) === picture) picture.bitmap = bitmap;
      else bitmap.close(); // nobody waits for it any more
    }, () => {}).then(() => { picture.opened = null; });
    pictures.set(key, picture);
    picture.opened.then(() => {}).then(trim); // a turn later: by then it is on the cards that wait for it
    return picture;
  }

  return {
    /** @param {string} key @param {DataView | undefined} bytes */
    add(key, bytes) {
      if (bytes?.byteLength && !files.has(key) && !signal.aborted) files.set(key, bytes);
    },
    /** Have these ready to be shown. @param {string[]} keys */
    open: (keys) => keys.forEach(open),
    /** An address of the thumbnail, for those few who need one. @param {string} key */
    url(key) {
      urls.add(key, files.get(key));
      return urls.of(key);
    },
    /** @param {string} key */
    has: (key) => files.has(key),
    /** Show a picture on a canvas, as soon as it is open and unless another one is to be shown there by then. @param {string} key @param {HTMLCanvasElement} canvas */
    paint(key, canvas) {
      const picture = open(key);
      shown.set(canvas, key);
      blank(canvas); // not the one before, beside another label
      if (!picture) return;
      const show = () => { if (shown.get(canvas) === key && pictures.get(key) === picture) draw(canvas, picture.bitmap); };
      if (picture.opened) picture.opened.then(show);
      else show();
    },
    /** What those of these that are not open yet wait for. @param {string[]} keys */
    opening: (keys) => keys.flatMap((key) => pictures.get(key)?.opened ?? []),
    /** Give back all but these and those that another one keeps. @param {string} who @param {string[]} keys */
    keep(who, keys) {
      wanted.set(who, keys);
      const kept = new Set([...wanted.values()].flat());
      urls.keepOnly(kept);
      for (const key of [...files.keys()]) if (!kept.has(key)) files.delete(key);
      for (const key of [...pictures.keys()]) if (!kept.has(key)) drop(key);
    },
  };
}
