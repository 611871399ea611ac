// @ts-check
/** Who is here: the reviewer's name, and a word to the kernel now and then so that it looks for others' decisions. */

const AGAIN_MS = 60_000; // the kernel looks on for longer than that without a word
const KEPT_AS = "shoebox-reviewer";
const GUEST_KEPT_AS = "shoebox-guest";

const SIGNS = ["scroll", "wheel", "pointermove", "pointerdown"]; // of somebody who looks and presses no key

/**
 * @param {HTMLElement} root
 * @param {HTMLInputElement} input
 * @param {string} guest what who gives no name is called, until this browser has kept such a name
 * @param {(kind: string) => Promise<any>} ask
 * @param {AbortSignal} signal
 */
export function createPresence(root, input, guest, ask, signal) {
  let told = -Infinity;
  try {
    input.value = localStorage.getItem(KEPT_AS) ?? "";
  } catch {
    input.value = ""; // a page without storage
  }

  const nameless = guest && keptName(guest);
  if (nameless) input.placeholder = `Your name, else ${nameless}`;

  function note() {
    if (document.hidden || performance.now() - told < AGAIN_MS) return;
    told = performance.now();
    ask("watch").catch(() => {}); // a silent kernel is told where something is asked for
  }

  input.addEventListener("change", () => {
    try {
      localStorage.setItem(KEPT_AS, input.value.trim());
    } catch {
      /* stays for this page only */
    }
  }, { signal });
  document.addEventListener("visibilitychange", note, { signal });
  window.addEventListener("focus", note, { signal });
  for (const sign of SIGNS) root.addEventListener(sign, note, { signal, passive: true, capture: true }); // a scroll does not bubble
  note();

  return { note, who: () => input.value.trim() || nameless };
}

/** The name that this browser has as a guest: the same after a reload, when the kernel is another one. @param {string} guest */
function keptName(guest) {
  try {
    const kept = localStorage.getItem(GUEST_KEPT_AS) || guest;
    localStorage.setItem(GUEST_KEPT_AS, kept);
    return kept;
  } catch {
    return guest;
  }
}
