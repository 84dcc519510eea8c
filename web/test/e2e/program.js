/**
 * Two pages that use the client as a program of somebody else would: `import` of its public door, no page of ours around it.
 * @module
 */

/** @typedef {import("./browsers.js").Kind} Kind */
/** @typedef {import("./browsers.js").Visitor} Visitor */

/** Runs in the page: what the scenarios of this folder use there. */
function tools() {
  Object.assign(globalThis, {
    /** Resolves with the next event of this type. */
    next: (/** @type {EventTarget} */ target, /** @type {string} */ type) => new Promise((resolve) => target.addEventListener(type, resolve, { once: true })),
    /** SHA-256 over the SHA-256 of each MiB: no more than that is held in memory. */
    digest: async (/** @type {Blob} */ blob) => {
      const parts = [];
      for (let at = 0; at < blob.size; at += 1048576) {
        parts.push(new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.slice(at, at + 1048576).arrayBuffer())));
      }
      const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
      return [...whole].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    /** Messages of the main channel, as they came. */
    messages: [],
  });
}

/**
 * PEER2 waits at `waiting`, PEER1 joins at `joining`; resolves when the channel is open on both. In each page `peer` and `room`
 * are then globals.
 * @param {any} stage @param {Kind} first @param {Kind} second
 * @param {{ options?: object, page?: import("./browsers.js").PageOptions, server?: import("./server.js").Server }} [settings] server: one that runs already
 * @returns {Promise<{ server: import("./server.js").Server, waiting: Visitor, joining: Visitor }>}
 */
export async function programs(stage, first, second, { options = {}, page, server: running } = {}) {
  const server = running ?? (await stage.serve());
  const [waiting, joining] = await Promise.all([stage.visit(first, server.url, page), stage.visit(second, server.url, page)]);
  await Promise.all([waiting.run(tools), joining.run(tools)]);
  const link = await waiting.run(async (/** @type {object} */ wanted) => {
    const { createRoom } = await import(/** @type {any} */ ("/client/index.js"));
    const room = await createRoom(wanted);
    const met = new Promise((resolve) => room.addEventListener("peer", (/** @type {any} */ { peer }) => {
      Object.assign(globalThis, { peer });
      peer.addEventListener("message", (/** @type {any} */ { data }) => /** @type {any} */ (globalThis).messages.push(data));
      peer.addEventListener("open", resolve);
    }));
    Object.assign(globalThis, { room, met });
    return room.link;
  }, options);
  await joining.run(async (/** @type {string} */ target, /** @type {object} */ wanted) => {
    const { joinRoom } = await import(/** @type {any} */ ("/client/index.js"));
    const room = await joinRoom(target, wanted);
    const { peer } = room;
    Object.assign(globalThis, { room, peer });
    peer.addEventListener("message", (/** @type {any} */ { data }) => /** @type {any} */ (globalThis).messages.push(data));
    if (peer.states.channel !== "open") await /** @type {any} */ (globalThis).next(peer, "open");
  }, link, options);
  await waiting.run(() => /** @type {any} */ (globalThis).met);
  return { server, waiting, joining };
}
