// @ts-check
/**
 * From the person's file to the bytes that are sent: as it is when it is small, else made smaller here.
 *
 * @typedef {{width: number, height: number, bytes: number}} Measure
 * @typedef {{bytes: ArrayBuffer, from: Measure | null, to: Measure | null, animated: boolean}} Prepared
 */

import { decode } from "./decode.js";
import { Sentence } from "./line.js";

const JPEG_QUALITY = 0.9;
const LEAVE_UP_TO = 1.5; // times the side to which a large picture is made smaller
const LONGEST_PX = 4096;
const WHOLE_UP_TO_BYTES = 2 ** 26; // what is larger is left to the browser, which need not hold it

/**
 * Width and height so that the longer side is at most `side`, and the shorter still at least `short` if it was.
 * @param {number} width
 * @param {number} height
 * @param {number} side
 * @param {number} [short]
 */
export function fit(width, height, side, short = 0) {
  const wanted = Math.max(side / Math.max(width, height), short / Math.min(width, height));
  const scale = Math.min(1, wanted, LONGEST_PX / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * Whether a file's first bytes say that it has several frames.
 * @param {Uint8Array} bytes
 */
export function isAnimated(bytes) {
  const text = new TextDecoder("latin1").decode(bytes);
  if (text.startsWith("GIF8")) return text.split("\x21\xf9\x04").length > 2;
  if (text.startsWith("RIFF") && text.slice(8, 16) === "WEBPVP8X") return (bytes[20] & 2) !== 0;
  if (text.startsWith("PNG", 1)) return text.slice(0, text.indexOf("IDAT") >>> 0).includes("acTL");
  return text.slice(4, 12) === "ftypavis";
}

/**
 * The bytes to send: the file as it is when it is small, else a smaller JPEG of it, upright.
 * @param {File} file
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @param {() => void} [read] called when the file is read, and before it is decoded
 * @returns {Promise<Prepared>}
 */
export async function prepare(file, limits, texts, read = () => {}) {
  if (file.size === 0) throw new Sentence(texts.empty);
  const whole = file.size <= WHOLE_UP_TO_BYTES;
  const bytes = await (whole ? file : file.slice(0, limits.max_bytes)).arrayBuffer(); // once: it takes a while to come
  read();
  const wanted = (/** @type {number} */ width, /** @type {number} */ height) => (
    fit(width, height, limits.side_px, limits.short_px));
  const picture = await decode(file, whole ? bytes : null, wanted);
  const start = new Uint8Array(bytes, 0, Math.min(bytes.byteLength, limits.max_bytes));
  const animated = start[0] !== 0xff && isAnimated(start); // a JPEG never is
  try {
    const large = picture && Math.max(picture.width, picture.height) > LEAVE_UP_TO * limits.side_px;
    const smaller = picture && (large || file.size > limits.shrink_over_bytes) ? shrink(picture, wanted) : null;
    if (smaller && picture && smaller.bytes.byteLength < file.size) {
      const from = { width: picture.width, height: picture.height, bytes: file.size };
      const to = { width: smaller.width, height: smaller.height, bytes: smaller.bytes.byteLength };
      return { bytes: smaller.bytes, from, to, animated };
    }
    if (file.size > limits.max_bytes) throw new Sentence(texts.not_opened);
    return { bytes, from: null, to: null, animated };
  } finally {
    picture?.image.close();
  }
}

/**
 * As a data URL, which is there at once: an encoder that answers later waits until the browser has nothing to draw.
 * @param {import("./decode.js").Decoded} picture
 * @param {import("./decode.js").Wanted} wanted
 */
function shrink(picture, wanted) {
  const least = wanted(picture.width, picture.height);
  const { width, height } = least.width > picture.drawn.width ? picture.drawn : least; // never larger than what is there
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  context.fillStyle = "white"; // what is transparent becomes white, as in the kernel
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture.image, 0, 0, width, height);
  const [head, data] = canvas.toDataURL("image/jpeg", JPEG_QUALITY).split(",");
  if (!head.startsWith("data:image/jpeg")) return null; // too large for a canvas
  const binary = atob(data);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return { bytes: bytes.buffer, width, height };
}
