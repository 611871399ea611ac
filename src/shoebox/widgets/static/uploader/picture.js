// @ts-check
/** From the person's file to the bytes that are sent: as it is when it is small, else made smaller here. */

import { Sentence } from "./line.js";

const JPEG_QUALITY = 0.92;

/**
 * Width and height so that the longer side is at most `side`.
 * @param {number} width
 * @param {number} height
 * @param {number} side
 */
export function fit(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * The bytes to send: the file as it is when it is small, else a smaller JPEG of it, upright.
 * @param {File} file
 * @param {Record<string, number>} limits
 * @param {Record<string, string>} texts
 * @returns {Promise<ArrayBuffer>}
 */
export async function prepare(file, limits, texts) {
  if (file.size === 0) throw new Sentence(texts.empty);
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  try {
    const large = bitmap && Math.max(bitmap.width, bitmap.height) > limits.shrink_over_px;
    const smaller = bitmap && (large || file.size > limits.shrink_over_bytes) ? await shrink(bitmap, limits.side_px) : null;
    if (smaller) return await smaller.arrayBuffer();
    if (file.size > limits.max_bytes) throw new Sentence(texts.not_opened);
    return await file.arrayBuffer();
  } finally {
    bitmap?.close();
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} side
 * @returns {Promise<Blob | null>}
 */
function shrink(bitmap, side) {
  const { width, height } = fit(bitmap.width, bitmap.height, side);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  if (!context) return Promise.resolve(null);
  context.fillStyle = "white"; // what is transparent becomes white, as in the kernel
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
