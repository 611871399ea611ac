// @ts-check
/**
 * What shows the card where a page holds nothing else: one line to the kernel and one module, in place of Voila's front
 * end of a hundred scripts. It is an anywidget host with the part of the interface that the card uses.
 *
 * (Two braces together would be the template's, which takes this file in.)
 *
 * @typedef {Object} Message
 * @property {string} kind
 * @property {any} content
 * @property {DataView[]} buffers
 */
(() => {
  "use strict";

  const PROTOCOL = "v1.kernel.websocket.jupyter.org";
  const OUTPUT = 'script[type="application/vnd.voila.cell-output+json"]';
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const ASK_AGAIN_MS = 1000;
  const LOST_AFTER_MS = 20000;
  const RETRIES_MS = [0, 500, 1000, 2000, 4000, 8000, 15000, 30000];

  const { baseUrl, kernelId } = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  const session = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("");
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();

  /**
   * A message as the server's protocol wants it: the number of places, the places, then one part after the other.
   * @param {string} kind @param {any} content @param {ArrayBuffer[]} buffers @param {number} count
   */
  function packed(kind, content, buffers, count) {
    const header = { msg_id: `${session}-${count}`, msg_type: kind, session, username: "", version: "5.3",
                     date: new Date().toISOString() };
    const texts = ["shell", ...[header, {}, { version: "2.1.0" }, content].map((part) => JSON.stringify(part))];
    const parts = [...texts.map((text) => encoder.encode(text)), ...buffers.map((buffer) => new Uint8Array(buffer))];
    const start = 8 * (2 + parts.length);
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, start));
    const numbers = new DataView(whole.buffer);
    let place = start;
    numbers.setBigUint64(0, BigInt(parts.length + 1), true);
    numbers.setBigUint64(8, BigInt(place), true);
    parts.forEach((part, turn) => {
      whole.set(part, place);
      place += part.length;
      numbers.setBigUint64(8 * (turn + 2), BigInt(place), true);
    });
    return whole;
  }

  /** @param {ArrayBuffer} data @returns {Message} */
  function unpacked(data) {
    const numbers = new DataView(data);
    const places = Array.from({ length: Number(numbers.getBigUint64(0, true)) },
                              (_, turn) => Number(numbers.getBigUint64(8 * (turn + 1), true)));
    const part = (/** @type {number} */ turn) => new DataView(data, places[turn], places[turn + 1] - places[turn]);
    const json = (/** @type {number} */ turn) => JSON.parse(decoder.decode(part(turn)));
    return { kind: json(1).msg_type, content: json(4), buffers: places.slice(6).map((_, turn) => part(turn + 5)) };
  }

  /**
   * The line to the kernel, taken up again when it was cut: a phone cuts it when its camera is opened.
   * @param {(message: Message) => void} take
   */
  function createSocket(take) {
    const address = new URL(`${baseUrl}api/kernels/${kernelId}/channels?session_id=${session}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    /** @type {Uint8Array[]} */
    let waiting = [];
    let count = 0;
    let failures = 0;
    let timer = 0;
    /** @type {WebSocket} */
    let socket;

    function open() {
      clearTimeout(timer);
      socket = new WebSocket(address, PROTOCOL);
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }) => { if (data instanceof ArrayBuffer) take(unpacked(data)); };
      socket.onopen = () => {
        failures = 0;
        for (const message of waiting) socket.send(message);
        waiting = [];
      };
      socket.onclose = () => {
        if (failures < RETRIES_MS.length) timer = window.setTimeout(open, RETRIES_MS[failures++]);
      };
    }

    function openNow() {
      if (document.hidden || socket.readyState !== WebSocket.CLOSED) return;
      failures = 0;
      open();
    }

    open();
    document.addEventListener("visibilitychange", openNow);
    window.addEventListener("online", openNow);
    return (/** @type {string} */ kind, /** @type {any} */ content, /** @type {ArrayBuffer[]} */ buffers = []) => {
      const message = packed(kind, content, buffers, ++count);
      if (socket.readyState === WebSocket.OPEN) socket.send(message);
      else waiting.push(message);
    };
  }

  /** @param {string} id @param {ReturnType<typeof createSocket>} send */
  function createModel(id, send) {
    /** @type {Record<string, any>} */
    const state = {};
    /** @type {Map<string, Set<Function>>} */
    const listeners = new Map();
    const tell = (/** @type {string} */ event, /** @type {any[]} */ ...values) => {
      for (const listener of [...listeners.get(event) ?? []]) listener(...values);
    };
    const say = (/** @type {any} */ data, /** @type {ArrayBuffer[]} */ buffers = []) => (
      send("comm_msg", { comm_id: id, data }, buffers));
    /** @type {() => void} */
    let known = () => {};

    return {
      /** Resolves when the kernel has told the whole state. */
      whole: new Promise((resolve, reject) => {
        const ask = () => say({ method: "request_state" });
        const again = setInterval(ask, ASK_AGAIN_MS);
        const lost = setTimeout(() => { clearInterval(again); reject(new Error("silent")); }, LOST_AFTER_MS);
        known = () => { clearInterval(again); clearTimeout(lost); resolve(undefined); };
        ask();
      }),

      /** @param {Message} message */
      take({ content, buffers }) {
        if (content.data.method === "custom") tell("msg:custom", content.data.content, buffers);
        if (content.data.method !== "update") return;
        const changed = Object.keys(content.data.state).filter((name) => state[name] !== content.data.state[name]);
        Object.assign(state, content.data.state);
        if ("_esm" in state) known();
        for (const name of changed) tell(`change:${name}`);
      },

      /** What the card's module is given. */
      face: {
        get: (/** @type {string} */ name) => state[name],
        on(/** @type {string} */ event, /** @type {Function} */ listener) {
          listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
        },
        off: (/** @type {string} */ event, /** @type {Function} */ listener) => listeners.get(event)?.delete(listener),
        send: (/** @type {any} */ content, /** @type {any} */ _, /** @type {ArrayBuffer[]} */ buffers = []) => (
          say({ method: "custom", content }, buffers)),
      },
    };
  }

  /** What to say when the card cannot be shown: its own texts have not come. In the reader's language, else English. */
  function failed() {
    const words = JSON.parse(document.body.dataset.failed ?? "{}");
    const code = navigator.languages.map((one) => one.split("-")[0]).find((one) => one in words);
    return words[code ?? "en"] ?? "";
  }

  /** @param {ReturnType<typeof createModel>} model @param {HTMLElement} el */
  async function show(model, el) {
    try {
      await model.whole;
      const style = document.createElement("style");
      style.textContent = model.face.get("_css");
      document.head.append(style);
      const url = URL.createObjectURL(new Blob([model.face.get("_esm")], { type: "text/javascript" }));
      const { default: card } = await import(url);
      URL.revokeObjectURL(url);
      await card.render({ model: model.face, el });
    } catch (error) {
      console.warn("[shoebox]", error);
      el.setAttribute("role", "alert");
      el.textContent = failed();
    }
  }

  /** @type {Map<string, ReturnType<typeof createModel>>} */
  const models = new Map();
  const send = createSocket((message) => {
    if (message.kind === "comm_msg") models.get(message.content.comm_id)?.take(message);
  });
  for (const script of document.querySelectorAll(OUTPUT)) {
    const id = JSON.parse(script.textContent ?? "").data[VIEW].model_id;
    const el = document.createElement("div");
    script.replaceWith(el);
    if (!models.has(id)) models.set(id, createModel(id, send));
    show(/** @type {ReturnType<typeof createModel>} */ (models.get(id)), el);
  }

  // A page that is reloaded goes only when the new one comes, which in a full house would find no place.
  window.addEventListener("beforeunload", () => {
    document.cookie = `sbx-leaving=${encodeURIComponent(kernelId)}; max-age=10; path=${baseUrl}; samesite=strict`;
  });

  // The kernel ends with the page. Not on "beforeunload", which comes for a mailto: link too.
  window.addEventListener("pagehide", ({ persisted }) => {
    if (persisted) return;
    const farewell = new FormData();
    const token = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
    if (token) farewell.append("_xsrf", decodeURIComponent(token[1]));
    navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${encodeURIComponent(kernelId)}`, farewell);
  });

  document.getElementById("loading")?.remove();
  const cells = document.getElementById("rendered_cells");
  if (cells) cells.style.display = "";
})();
