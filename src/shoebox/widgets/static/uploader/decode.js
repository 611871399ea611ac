// @ts-check
/**
 * A picture's pixels, upright. Large JPEGs are decoded at a fraction of their size where the browser can, which takes
 * half the time; everywhere else, and for everything else, in full.
 *
 * @typedef {(width: number, height: number) => {width: number, height: number}} Wanted
 * @typedef {{image: any, width: number, height: number, drawn: {width: number, height: number}}} Decoded
 */

const HEADER_BYTES = 2 ** 18; // before its size a photo may carry a preview
const EIGHTHS = 8; // in which a JPEG can be decoded
const WORTH_IT = 4; // of them at most; else what is saved is little
const NEARLY = 0.97; // of the size that is wanted is as good: 504 pixels of a 12-megapixel photo, for 512

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

/** @param {ArrayBuffer} bytes @param {Wanted} wanted @returns {Promise<Decoded | null>} */
async function decodeSmaller(bytes, wanted) {
  const { ImageDecoder: Decoder, VideoFrame: Frame } = /** @type {any} */ (globalThis);
  if (!Decoder || !Frame || !("rotation" in Frame.prototype)) return null; // else nobody would turn it upright
  const stored = jpegSize(new DataView(bytes, 0, Math.min(bytes.byteLength, HEADER_BYTES)));
  if (!stored) return null;
  const needed = wanted(stored.width, stored.height);
  const eighths = Math.ceil(EIGHTHS * NEARLY * Math.max(needed.width / stored.width, needed.height / stored.height));
  if (eighths > WORTH_IT) return null;
  const side = (/** @type {number} */ length) => Math.ceil(length * eighths / EIGHTHS);
  const decoder = new Decoder({ data: bytes, type: "image/jpeg", preferAnimation: false,
                                desiredWidth: side(stored.width), desiredHeight: side(stored.height) });
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
 * @param {ArrayBuffer | null} bytes of the file, if all of them are here
 * @param {Wanted} wanted to which size it will be made smaller
 * @returns {Promise<Decoded | null>}
 */
export async function decode(file, bytes, wanted) {
  const smaller = bytes && await decodeSmaller(bytes, wanted).catch(() => null);
  if (smaller) return smaller;
  const image = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  return image && { image, width: image.width, height: image.height, drawn: image };
}
