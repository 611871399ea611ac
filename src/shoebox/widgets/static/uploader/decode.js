// @ts-check
/**
 * A picture's pixels, upright. Large JPEGs are decoded at a fraction of their size where the browser can, which takes
 * half the time; everywhere else, and for everything else, in full.
 *
 * @typedef {{image: any, width: number, height: number, drawn: {width: number, height: number}}} Decoded
 */

const HEADER_BYTES = 2 ** 18; // before its size a photo may carry a preview
const WORTH_IT = 3; // times the side that is needed
const SPARE = 1.5;

/**
 * Width and height of a JPEG as it is stored, from its first bytes; null when they do not say.
 * @param {DataView} bytes
 */
export function jpegSize(bytes) {
  if (bytes.byteLength < 4 || bytes.getUint16(0) !== 0xffd8) return null;
  for (let place = 2; place + 9 <= bytes.byteLength;) {
    const marker = bytes.getUint16(place);
    if ((marker & 0xff00) !== 0xff00) return null;
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return { width: bytes.getUint16(place + 7), height: bytes.getUint16(place + 5) };
    place += 2 + bytes.getUint16(place + 2);
  }
  return null;
}

/** @param {File} file @param {number} side @returns {Promise<Decoded | null>} */
async function decodeSmaller(file, side) {
  const { ImageDecoder: Decoder, VideoFrame: Frame } = /** @type {any} */ (globalThis);
  if (!Decoder || !Frame || !("rotation" in Frame.prototype)) return null; // else nobody would turn it upright
  const stored = jpegSize(new DataView(await file.slice(0, HEADER_BYTES).arrayBuffer()));
  if (!stored || Math.min(stored.width, stored.height) < WORTH_IT * side) return null;
  const scale = (SPARE * side) / Math.min(stored.width, stored.height);
  const decoder = new Decoder({ data: await file.arrayBuffer(), type: "image/jpeg", preferAnimation: false,
                                desiredWidth: Math.ceil(stored.width * scale), desiredHeight: Math.ceil(stored.height * scale) });
  try {
    const { image } = await decoder.decode();
    const drawn = { width: image.displayWidth, height: image.displayHeight };
    const turned = (drawn.width > drawn.height) !== (stored.width > stored.height);
    const [width, height] = turned ? [stored.height, stored.width] : [stored.width, stored.height];
    return { image, width, height, drawn };
  } finally {
    decoder.close();
  }
}

/**
 * The pixels and the picture's own size; null when the browser cannot open it. `image.close()` when done.
 * @param {File} file
 * @param {number} side that is needed of the shorter side
 * @returns {Promise<Decoded | null>}
 */
export async function decode(file, side) {
  const smaller = await decodeSmaller(file, side).catch(() => null);
  if (smaller) return smaller;
  const image = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  return image && { image, width: image.width, height: image.height, drawn: image };
}
