// @ts-check
/**
 * Object URLs by image id.
 * @param {AbortSignal} signal
 */
export function createUrls(signal) {
  /** @type {Map<string, string>} */
  const urls = new Map();
  const revoke = (/** @type {string} */ key) => {
    URL.revokeObjectURL(/** @type {string} */ (urls.get(key)));
    urls.delete(key);
  };
  signal.addEventListener("abort", () => [...urls.keys()].forEach(revoke));
  return {
    /** @param {string} key @param {DataView | undefined} bytes */
    add(key, bytes) {
      if (!bytes?.byteLength || urls.has(key) || signal.aborted) return;
      urls.set(key, URL.createObjectURL(new Blob([/** @type {any} */ (bytes)], { type: "image/jpeg" })));
    },
    /** @param {string} key */
    of: (key) => urls.get(key) ?? "",
    /** @param {string} key */
    has: (key) => urls.has(key),
    /** Give back all but these. @param {Set<string>} wanted */
    keepOnly: (wanted) => [...urls.keys()].filter((key) => !wanted.has(key)).forEach(revoke),
  };
}
