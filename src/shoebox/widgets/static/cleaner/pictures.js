// @ts-check
/**
 * Thumbnails by image id. What is near a person who stays is opened ahead, so that a card that is drawn later has its
 * picture at once; of what somebody scrolls past, only what is seen is opened.
 */

import { createUrls } from "./urls.js";
import { element } from "./words.js";

/** @param {AbortSignal} signal */
export function createPictures(signal) {
  const urls = createUrls(signal);
  /** @type {Map<string, {image: HTMLImageElement, opened: Promise<void> | null}>} */
  const pictures = new Map();
  /** @type {Map<string, string[]>} */
  const wanted = new Map(); // by who wants them

  /** @param {string} key */
  function open(key) {
    if (pictures.has(key) || !urls.has(key)) return;
    const image = element("img", "", "", { src: urls.of(key), draggable: "false" });
    const picture = { image, opened: /** @type {Promise<void> | null} */ (null) };
    const done = () => { picture.opened = null; };
    picture.opened = image.decode().then(done, done); // one that cannot be opened is shown as such
    pictures.set(key, picture);
  }

  return {
    /** @param {string} key @param {DataView | undefined} bytes */
    add: (key, bytes) => urls.add(key, bytes),
    /** Have these ready to be shown. @param {string[]} keys */
    open: (keys) => keys.forEach(open),
    /** @param {string} key */
    url: (key) => urls.of(key),
    /** @param {string} key */
    has: (key) => urls.has(key),
    /** The image for a card; another one where the same bytes stand on two cards. @param {string} key */
    image(key) {
      open(key);
      const image = pictures.get(key)?.image;
      return image?.parentNode ? /** @type {HTMLImageElement} */ (image.cloneNode()) : image;
    },
    /** What those of these that are not open yet wait for. @param {string[]} keys */
    opening: (keys) => keys.flatMap((key) => pictures.get(key)?.opened ?? []),
    /** Give back all but these and those that another one keeps. @param {string} who @param {string[]} keys */
    keep(who, keys) {
      wanted.set(who, keys);
      const kept = new Set([...wanted.values()].flat());
      urls.keepOnly(kept);
      for (const key of [...pictures.keys()]) if (!kept.has(key)) pictures.delete(key);
    },
  };
}
