// @ts-check
/** Under Voila a kernel that is put to sleep, or has died, says nothing. So the page looks now and then, and says it. */

/** The address at which the server knows this page's kernel; "" where there is none of that kind. */
function kernelAddress() {
  const config = document.body.dataset.voila && document.getElementById("jupyter-config-data")?.textContent;
  if (!config) return "";
  const { baseUrl, kernelId } = JSON.parse(config);
  return kernelId ? `${baseUrl}api/kernels/${kernelId}` : "";
}

/**
 * @param {Record<string, number>} limits
 * @param {AbortSignal} signal
 * @param {(news: "gone" | "silent" | "back") => void} tell called when it has changed
 * @returns {() => Promise<void>} look now
 */
export function watchKernel(limits, signal, tell) {
  const address = kernelAddress();
  let silent = 0;
  let gone = false;

  async function look() {
    if (!address || gone || signal.aborted) return;
    const status = await fetch(address, { signal, cache: "no-store" }).then((answer) => answer.status, () => 0);
    if (signal.aborted) return;
    if (status === 404) {
      gone = true;
      tell("gone");
    } else if (status === 0) {
      silent += 1;
      if (silent === 2) tell("silent");
    } else {
      if (silent > 1) tell("back");
      silent = 0;
    }
  }

  const timer = setInterval(look, limits.pulse_ms);
  signal.addEventListener("abort", () => clearInterval(timer));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); }, { signal });
  return look;
}
