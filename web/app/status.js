/**
 * The bar at the top of a room: its name, how the connection stands in colour and in words, the path, the round trip, and the way out.
 */
import { el, icon, setText } from "./dom.js";

/** @typedef {import("../client/types.d.ts").PeerStats} PeerStats */
/** @typedef {import("./phase.js").Phase} Phase */

export class StatusBar {
  #state = el("span", { class: "pill state", test: "peer-state" });
  #path = el("span", { class: "pill", test: "path", hidden: true });
  #roundTrip = el("span", { class: "pill", test: "round-trip", hidden: true });
  #verified = el("span", { class: "pill unverified", test: "verified", hidden: true });
  #sentence = el("p", { class: "status", role: "status", test: "status" });

  /** @param {{ name: string, onLog: () => HTMLElement, onLeave: () => void }} options `onLog` gives the panel it shows or hides */
  constructor({ name, onLog, onLeave }) {
    this.heading = el("h1", { tabindex: -1 }, el("span", { class: "unseen" }, "Room "), el("bdi", {}, name));
    this.element = el("header", { class: "bar" },
      el("div", { class: "title" }, icon("crow", "mark"), this.heading),
      el("div", { class: "actions" }, logButton(onLog),
        el("button", { class: "quiet", type: "button", test: "leave", click: onLeave }, icon("leave"), el("span", {}, "Leave"))),
      el("div", { class: "standing" }, el("div", { class: "pills" }, this.#state, this.#path, this.#roundTrip, this.#verified), this.#sentence));
  }

  /**
   * @param {Phase} phase
   * @param {string} [sentence] instead of the phase's own
   */
  phase({ id, tone, word, sentence: usual }, sentence = usual) {
    setText(this.#state, word);
    this.#state.dataset.tone = tone;
    this.#state.dataset.phase = id;
    setText(this.#sentence, sentence);
    this.#sentence.dataset.tone = tone;
  }

  /** @param {null | "code" | "compared"} verified of a peer that is here */
  verified(verified) {
    this.#verified.hidden = false;
    this.#verified.classList.toggle("unverified", !verified);
    setText(this.#verified, verified ? "Verified by code" : "Not verified");
    this.#verified.title = verified ? "Both of you share the secret of link and code, so nobody sits in between." : "The server passed on the connection descriptions in readable form. If it were dishonest, it could have put itself in the middle.";
  }

  /** @param {PeerStats} stats */
  stats({ path, roundTrip, iceRoundTrip }) {
    const time = roundTrip ?? iceRoundTrip;
    this.#path.hidden = !path;
    if (path) {
      setText(this.#path, path.kind === "direct" ? "Direct" : "Relayed");
      this.#path.title = `${path.kind === "direct" ? "From browser to browser" : "Through a relay, which sees only encrypted data"}, over ${path.protocol.toUpperCase()}`;
      this.#path.dataset.kind = path.kind;
    }
    this.#roundTrip.hidden = time === null;
    if (time !== null) setText(this.#roundTrip, `${time < 1 ? "<1" : Math.round(time)} ms`);
    this.#roundTrip.title = "Round trip to the other side and back";
  }

  /** Nobody is there any more. */
  clear() {
    for (const pill of [this.#path, this.#roundTrip, this.#verified]) pill.hidden = true;
  }
}

/** @param {() => HTMLElement} toggle */
function logButton(toggle) {
  const words = el("span", { class: "words" }, "Log");
  const button = el("button", {
    class: "quiet", type: "button", test: "log", "aria-expanded": "false", "aria-controls": "details",
    click: () => {
      const panel = toggle();
      button.setAttribute("aria-expanded", String(!panel.hidden));
      setText(words, panel.hidden ? "Log" : "Hide log");
    },
  }, icon("details"), words);
  return button;
}
