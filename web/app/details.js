/**
 * What happens under the hood, for whoever wants to know: states as chips, the path, and the trace as it grows, to be downloaded.
 */
import { batched, bytes, el, icon } from "./dom.js";
import { chip, traceLine } from "./trace-line.js";

/** @typedef {import("../client/types.d.ts").Peer} Peer */
/** @typedef {import("../client/types.d.ts").PeerStats} PeerStats */

/** Lines shown; the download has them all. */
const SHOWN = 200;

export class Details {
  /** @type {Peer | null} the last one, so that its trace can be had after it has left */
  #peer = null;
  #schedule = batched(() => this.#draw());
  #chips = el("p", { class: "chips", test: "states" });
  #facts = el("dl", { class: "facts" });
  #lines = el("ol", { class: "lines", test: "trace-lines", tabindex: 0, "aria-label": "Trace" });
  #download = el("button", { type: "button", test: "trace-download", disabled: true, click: () => this.#save() }, icon("save"), "Download the trace");

  constructor() {
    this.element = el("aside", { class: "details", id: "details", test: "log-panel", "aria-label": "Connection log", hidden: true },
      el("h2", {}, "Connection log"),
      this.#chips,
      this.#facts,
      el("h3", {}, "Trace"),
      this.#lines,
      this.#download);
    this.states(null);
  }

  /**
   * @param {Peer} peer
   * @param {AbortSignal} signal ends with the pairing
   */
  follow(peer, signal) {
    this.#peer = peer;
    this.#download.disabled = false;
    peer.addEventListener("trace", () => this.#schedule(), { signal });
    this.#schedule();
  }

  /** @param {Readonly<import("../client/types.d.ts").PeerStates> | null} states */
  states(states) {
    const pairs = states ? Object.entries(states) : [];
    this.#chips.replaceChildren(...(pairs.length ? pairs.map(([name, value]) => chip(name, value)) : ["Nobody is there yet."]));
  }

  /** @param {PeerStats} stats */
  stats({ path, iceRoundTrip, bytesSent, bytesReceived, bufferedAmount }) {
    /** @param {{ type: string, address: string | null, port: number | null }} end */
    const end = ({ type, address, port }) => `${type} ${address ?? "hidden"}${port === null ? "" : ` port ${port}`}`;
    const facts = [
      ["This side", path ? end(path.local) : "–"],
      ["Other side", path ? end(path.remote) : "–"],
      ["Round trip (ICE)", iceRoundTrip === null ? "–" : `${Math.round(iceRoundTrip)} ms`],
      ["Sent", bytes(bytesSent)], ["Received", bytes(bytesReceived)], ["Waiting to leave", bytes(bufferedAmount)],
    ];
    this.#facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  get open() {
    return !this.element.hidden;
  }

  set open(open) {
    this.element.hidden = !open;
    this.#draw();
  }

  /** A call takes its place in the trace when it is made, and is told when it has ended: so the list is read anew each time. */
  #draw() {
    if (this.element.hidden || !this.#peer) return;
    const list = this.#lines;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.replaceChildren(...this.#peer.trace.records.slice(-SHOWN).map(traceLine));
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #save() {
    const peer = this.#peer;
    if (!peer) return;
    const href = URL.createObjectURL(new Blob([peer.trace.toJSONLines()], { type: "application/x-ndjson" }));
    el("a", { href, download: `crowfly-${peer.role}-${peer.session.slice(0, 8)}.jsonl` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }
}
