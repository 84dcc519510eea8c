/**
 * The page of one room, from waiting to chat and back to waiting: binds a Room and its peers, one after the other, to the pieces.
 *
 * All listeners of a pairing hang on one AbortController and end with it, so a repeated event finds no second handler.
 */
import { Composer } from "./composer.js";
import { Details } from "./details.js";
import { batched, el, focusOn } from "./dom.js";
import { inviteView } from "./invite.js";
import { phaseOf } from "./phase.js";
import { endingOf, partingOf, problemOf } from "./problem.js";
import { StatusBar } from "./status.js";
import { Transcript } from "./transcript.js";

/** @typedef {import("../client/types.d.ts").Room} Room */
/** @typedef {import("../client/types.d.ts").Peer} Peer */
/** @typedef {import("./phase.js").PhaseId} PhaseId */
/** @typedef {import("./phase.js").Tone} Tone */
/**
 * @typedef {object} RoomViewOptions
 * @property {typeof import("./steps/board.js").Board | null} steps the board of step mode; null: automatic
 * @property {string} ended why the room has closed already
 * @property {RoomView | null} earlier this room's last view in this tab, whose conversation goes on
 * @property {() => void} onLeave
 * @property {() => void} onRejoin
 * @property {() => void} onAutomatic
 */

const POLL_MS = 2000;

/** What the transcript says when a pairing, once connected, changes its phase. @type {Partial<Record<PhaseId, [string, Tone]>>} */
const NOTICES = {
  silent: ["Nothing has been heard from the other side for a few seconds.", "warn"],
  recovering: ["The path is interrupted. Trying again…", "warn"],
  failed: ["No path works at the moment.", "bad"],
};

export class RoomView {
  #room;
  #endedBefore;
  #on;
  #board;
  #status;
  #invite;
  /** @type {Peer | null} */
  #peer = null;
  /** Ends with the pairing. */
  #pairing = new AbortController();
  /** Ends with the view. */
  #view = new AbortController();
  /** @type {PhaseId} */
  #phase = "waiting";
  #connectedOnce = false;
  #unread = 0;
  /** Whether somebody came or went while nobody looked. */
  #stir = false;
  #details = new Details();
  /** @type {Composer} */ #composer;
  #ended = el("section", { class: "ended", test: "ended", "aria-label": "The room has ended for you", hidden: true });

  /** @param {Room} room @param {RoomViewOptions} options */
  constructor(room, { steps: Board, ended, earlier, onLeave, onRejoin, onAutomatic }) {
    this.#room = room;
    this.transcript = earlier?.transcript ?? new Transcript();
    this.#composer = earlier ? earlier.#composer : new Composer({ onSent: told(this.transcript) });
    this.#on = { onLeave, onRejoin };
    this.#endedBefore = ended;
    this.#board = Board && new Board({ onAutomatic });
    this.#status = new StatusBar({ name: room.name, onLog: () => this.#toggleLog(), onLeave });
    this.#invite = inviteView(room, { steps: Board !== null });
    this.element = el("div", { class: "room" }, this.#status.element,
      el("div", { class: `stage${Board ? " with-board" : ""}` },
        this.#board?.element,
        el("section", { class: "chat", "aria-label": "Chat" }, this.transcript.element, this.#invite.element, this.#ended, this.#composer.element),
        this.#details.element));
    this.#composer.acceptDrops(this.element);
    if (this.transcript.empty) return;
    this.element.dataset.met = this.element.dataset.chat = "true";
    this.transcript.section("Earlier conversation above");
  }

  /** Begins to listen, and shows what is already so. */
  open() {
    const { signal } = this.#view;
    const room = this.#room;
    room.addEventListener("peer", ({ peer }) => this.#meet(peer), { signal });
    room.addEventListener("peer-left", ({ peer, reason }) => this.#part(peer, reason), { signal });
    room.addEventListener("signaling", ({ state }) => this.#server(state), { signal });
    room.addEventListener("error", ({ error }) => this.#trouble(error), { signal });
    room.addEventListener("close", ({ reason }) => this.#end(reason), { signal });
    document.addEventListener("visibilitychange", () => this.#entitle(), { signal });
    this.#entitle();
    if (room.closed) return this.#end(this.#endedBefore);
    if (room.peer) this.#meet(room.peer);
    else this.#wait(!this.transcript.empty);
    this.#refresh();
  }

  /** Lets go of the room; whoever calls this leaves it. */
  close() {
    this.#pairing.abort();
    this.#view.abort();
    this.#composer.peer = this.#composer.coming = null;
    this.transcript.settle(false);
  }

  focus() {
    if (this.#composer.open) this.#composer.focus();
    else if (this.#board && this.#peer) this.#board.focus();
    else if (!this.#invite.element.hidden) this.#invite.focus();
    else focusOn(this.#status.heading);
  }

  #toggleLog() {
    this.#details.open = !this.#details.open;
    return this.#details.element;
  }

  /** @param {Peer} peer */
  #meet(peer) {
    if (peer === this.#peer) return;
    this.#pairing.abort();
    this.#pairing = new AbortController();
    const { signal } = this.#pairing;
    this.#peer = peer;
    this.#connectedOnce = false;
    this.#phase = "waiting";
    const hadFocus = this.#invite.element.contains(document.activeElement);
    this.#invite.hide();
    this.element.dataset.met = "true";
    this.transcript.section("Somebody is here");
    this.#details.follow(peer, signal);
    this.#board?.follow(peer, signal);
    // In a sealed room there is nothing to say before it is so.
    if (this.#room.open || peer.verified) this.#status.verified(peer.verified);
    peer.addEventListener("open", () => this.#status.verified(peer.verified), { signal });
    for (const type of /** @type {const} */ (["state", "open", "close"])) peer.addEventListener(type, () => this.#refresh(), { signal });
    peer.addEventListener("message", (event) => this.#received(event), { signal });
    peer.addEventListener("incoming", ({ incoming }) => { this.#composer.coming = incoming; }, { signal });
    peer.addEventListener("error", ({ error }) => this.#trouble(error), { signal });
    this.#poll(peer, signal);
    this.#refresh();
    this.#stirs();
    if (hadFocus || document.activeElement === document.body) this.focus();
  }

  /**
   * @param {Peer} peer
   * @param {string} reason
   */
  #part(peer, reason) {
    if (peer !== this.#peer) return;
    this.#unpair(reason);
    this.element.dataset.chat = "true";
    // These have been told as an error already, with what to try.
    if (reason !== "failed" && reason !== "not-verified") this.transcript.system(partingOf(reason), "warn");
    this.#board?.part();
    this.#status.clear();
    const lost = document.activeElement === document.body || this.#composer.focused || this.#board?.focused;
    this.#wait(true);
    this.#refresh();
    if (lost && !this.#room.closed) this.#invite.focus();
  }

  /** What a pairing leaves behind. @param {string} reason */
  #unpair(reason) {
    this.#pairing.abort();
    // Whoever says goodbye has heard what came before.
    if (this.#peer && reason !== "goodbye" && reason !== "leave") this.transcript.doubt();
    this.transcript.settle(false);
    this.#peer = this.#composer.coming = null;
    this.#stirs();
  }

  /** @param {boolean} again */
  #wait(again) {
    if (this.#room.closed) return;
    this.#invite.show(again);
  }

  /** @param {"online" | "offline"} state */
  #server(state) {
    if (state === "offline") this.transcript.system(this.#peer
      ? "The server cannot be reached. You can go on: it is not needed for this conversation."
      : "The server cannot be reached. Nobody can join until it is back; this page keeps trying.", "warn");
    else this.transcript.system("The server is back.", "good");
    this.#refresh();
  }

  /** @param {unknown} error */
  #trouble(error) {
    const { text, advice } = problemOf(error);
    this.element.dataset.chat = "true";
    this.transcript.system(advice ? `${text} ${advice}` : text, "bad");
  }

  /** @param {string} reason */
  #end(reason) {
    this.#unpair(reason);
    this.#composer.peer = null;
    this.#board?.part();
    this.#invite.hide();
    this.#status.clear();
    const text = endingOf(reason);
    this.#status.phase({ ...phaseOf(null), id: "closed", tone: "bad", word: "Ended" }, "The conversation is over on this page.");
    this.#ended.replaceChildren(el("h2", { tabindex: -1 }, "You are no longer in this room"), el("p", {}, text),
      el("div", { class: "row" },
        // The seat taken over elsewhere has a new token, which this tab does not know.
        // Nor is a secret of use that is not the room's, or of a room that is gone.
        !["replaced", "not-verified", "burned"].includes(reason) && el("button", { class: "primary", type: "button", test: "rejoin", click: this.#on.onRejoin }, "Join again"),
        el("button", { type: "button", test: "to-start", click: this.#on.onLeave }, "Start page")));
    this.#ended.hidden = false;
    focusOn(/** @type {HTMLElement} */ (this.#ended.firstElementChild));
  }

  /** Brings the page in line with the states; nothing happens when they have not changed. */
  #refresh() {
    const peer = this.#peer;
    if (this.#room.closed) return;
    const states = peer?.states ?? null;
    const phase = phaseOf(states);
    this.#details.states(states);
    this.#status.phase(phase, this.#sentence(phase));
    this.#composer.peer = peer && states?.channel === "open" ? peer : null;
    this.element.dataset.phase = phase.id;
    if (phase.id === this.#phase) return;
    const before = this.#phase;
    this.#phase = phase.id;
    if (peer) this.#changed(before, phase.id);
  }

  /** @param {PhaseId} before @param {PhaseId} now */
  #changed(before, now) {
    if (now === "connected") this.transcript.settle(true);
    else if (this.#connectedOnce && now !== "closed") this.transcript.doubt();
    if (now === "connected" && !this.#connectedOnce) {
      this.#connectedOnce = true;
      this.element.dataset.chat = "true";
      this.transcript.system("Connected. You can write.", "good");
      this.#board?.milestone();
      const { activeElement } = document;
      // Whoever reads the steps is not torn away from them.
      if (!this.#board || activeElement === document.body || this.#board.focused) this.#composer.focus();
    } else if (now === "connected") {
      this.transcript.system(before === "silent" ? "The other side answers again." : "The path is back.", "good");
    } else if (this.#connectedOnce || now === "failed") {
      const notice = NOTICES[now];
      if (notice) this.transcript.system(...notice);
    }
  }

  /** @param {import("./phase.js").Phase} phase */
  #sentence({ id, sentence }) {
    const offline = this.#room.signaling === "offline";
    if (offline && id === "waiting") return "The server cannot be reached. Trying again; nobody can join until it is back.";
    if (offline && id === "connected") return "You are connected. The server cannot be reached, and is not needed.";
    if (this.#board && id === "connecting") return "Somebody is here. Press the steps in order, on both sides.";
    return sentence;
  }

  /** @param {{ data: string | ArrayBuffer | Blob, name: string | null }} message */
  #received({ data, name }) {
    if (typeof data === "string") this.transcript.text("peer", data);
    else this.transcript.file("peer", name ?? "", data instanceof Blob ? data : new Blob([data]));
    if (!document.hidden) return;
    this.#unread += 1;
    this.#entitle();
  }

  /** Somebody came or went. */
  #stirs() {
    this.#stir = document.hidden;
    this.#entitle();
  }

  /** The tab says which room it is, and what came in while nobody looked. */
  #entitle = batched(() => {
    if (this.#view.signal.aborted) return;
    if (!document.hidden) {
      this.#unread = 0;
      this.#stir = false;
    }
    document.title = `${this.#unread ? `(${this.#unread}) ` : this.#stir ? "● " : ""}${this.#room.name} · Crowfly`;
  });

  /**
   * Path and round trip, every two seconds.
   * @param {Peer} peer
   * @param {AbortSignal} signal
   */
  #poll(peer, signal) {
    let asking = false;
    const ask = async () => {
      if (asking) return;
      asking = true;
      try {
        const stats = await peer.stats();
        if (signal.aborted) return;
        this.#status.stats(stats);
        this.#details.stats(stats);
      } catch {
        // The connection has just gone; its own events say so.
      } finally {
        asking = false;
      }
    };
    const timer = setInterval(ask, POLL_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    peer.addEventListener("open", ask, { signal });
    void ask();
  }
}

/** Outlives the view, and must not hold it. @param {Transcript} transcript */
function told(transcript) {
  /** @param {string | File} cargo accepted by the library */
  return (cargo) => (typeof cargo === "string" ? transcript.text("own", cargo) : transcript.file("own", cargo.name, cargo));
}
