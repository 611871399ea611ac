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
 * @returns {Promise<Prepared>}
 */
export async function prepare(file, limits, texts) {
  if (file.size === 0) throw new Sentence(texts.empty);
  const [picture, animated] = await Promise.all([decode(file, limits.side_px), movesAtAll(file, limits)]);
  try {
    const large = picture && Math.max(picture.width, picture.height) > LEAVE_UP_TO * limits.side_px;
    const smaller = picture && (large || file.size > limits.shrink_over_bytes) ? await shrink(picture, limits) : null;
    if (smaller && picture && smaller.blob.size < file.size) {
      const from = { width: picture.width, height: picture.height, bytes: file.size };
      const to = { width: smaller.width, height: smaller.height, bytes: smaller.blob.size };
      return { bytes: await smaller.blob.arrayBuffer(), from, to, animated };
    }
    if (file.size > limits.max_bytes) throw new Sentence(texts.not_opened);
    return { bytes: await file.arrayBuffer(), from: null, to: null, animated };
  } finally {
    picture?.image.close();
  }
}

/** @param {File} file @param {Record<string, number>} limits */
async function movesAtAll(file, limits) {
  const read = async (/** @type {number} */ end) => new Uint8Array(await file.slice(0, end).arrayBuffer());
  const jpeg = (await read(2))[0] === 0xff;
  return !jpeg && isAnimated(await read(limits.max_bytes));
}

/**
 * @param {import("./decode.js").Decoded} picture
 * @param {Record<string, number>} limits
 * @returns {Promise<{blob: Blob, width: number, height: number} | null>}
 */
async function shrink(picture, limits) {
  const { width, height } = fit(picture.width, picture.height, limits.side_px, limits.short_px);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.fillStyle = "white"; // what is transparent becomes white, as in the kernel
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture.image, 0, 0, width, height);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  return blob && { blob, width, height };
}
