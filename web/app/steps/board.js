/**
 * Step mode: a board of two lanes and five stages. One's own lane holds the WebRTC calls as buttons, in order; the other lane
 * tells what the far side does meanwhile. Loaded only when step by step is chosen.
 */
import { announce, batched, el, focusOn, icon, setText } from "../dom.js";
import { problemOf } from "../problem.js";
import { chip, traceLine } from "../trace-line.js";
import { StepCard } from "./step-card.js";
import { STAGES } from "./texts.js";

/** @typedef {import("../../client/types.d.ts").Peer} Peer */
/** @typedef {import("../../client/types.d.ts").Role} Role */
/** @typedef {import("../../client/types.d.ts").StepId} StepId */
/** @typedef {import("../../client/types.d.ts").TraceRecord} TraceRecord */

/** @type {Record<Role, string>} */
const ROLES = { PEER1: "You are PEER1: you joined last, so you offer.", PEER2: "You are PEER2: you waited, so you answer." };

export class Board {
  /** @type {Peer | null} */
  #peer = null;
  /** @type {Map<StepId, StepCard>} */
  #cards = new Map();
  /** @type {StepId | null} whose consequences the trace shows now */
  #pressed = null;
  /** @type {Map<number, { element: HTMLElement, word: HTMLElement, lines: HTMLElement }>} what others do, by stage */
  #others = new Map();
  /** Steps, states and lines may change many times in one turn. */
  #schedule = batched(() => this.#update());
  #connected = false;
  /** Whether focus moves on to the next step by itself; ends when the reader goes elsewhere. */
  #leading = false;
  #heading = el("h2", { tabindex: -1 }, "Step by step");
  #role = el("p", { class: "role" });
  #next = el("p", { class: "next", test: "next-step" });
  #chips = el("p", { class: "chips" });
  #milestone = el("p", { class: "milestone", test: "milestone", hidden: true }, icon("check"), "Milestone: connected, and the channel is open.");
  #body = el("div", { class: "board-body" });

  /** @param {{ onAutomatic: () => void }} options for whoever would rather have it done */
  constructor({ onAutomatic }) {
    this.element = el("section", { class: "board", test: "steps", "aria-label": "Step by step" },
      el("div", { class: "board-head" }, this.#heading, el("button", { class: "quiet", type: "button", test: "automatic", click: onAutomatic }, "Connect automatically instead"),
        this.#role, this.#chips),
      el("div", { class: "board-now" }, this.#next, this.#milestone),
      this.#body);
    this.element.addEventListener("pointerdown", ({ target }) => {
      if (!(target instanceof Element && target.closest(".step-button"))) this.#leading = false;
    });
    this.part();
  }

  get focused() {
    return this.element.contains(document.activeElement);
  }

  /** To the step whose turn it is, else to the heading. */
  focus() {
    const ready = this.#find("ready") ?? this.#find("failed");
    this.#leading = !ready;
    if (ready) return ready.button.focus();
    const place = this.#find("waiting")?.element ?? this.#heading;
    if (document.activeElement !== place) focusOn(place);
  }

  /**
   * @param {Peer} peer
   * @param {AbortSignal} signal ends with the pairing
   */
  follow(peer, signal) {
    this.#peer = peer;
    this.#cards.clear();
    this.#others.clear();
    this.#pressed = null;
    this.#connected = false;
    this.#milestone.hidden = true;
    this.#body.replaceChildren();
    this.#role.textContent = ROLES[peer.role];
    for (const type of /** @type {const} */ (["step", "state"])) peer.addEventListener(type, () => this.#schedule(), { signal });
    peer.addEventListener("trace", ({ record }) => this.#trace(record), { signal });
    this.#update();
  }

  /** Nobody is there (any more). */
  part() {
    if (!this.#peer) this.#hold("No steps yet", "Whoever joins begins. When their offer arrives, your steps appear here.");
    else setText(this.#next, "This pairing has ended. The next person makes a new one.");
    for (const card of this.#cards.values()) card.button.disabled = true;
    this.#peer = null;
  }

  milestone() {
    this.#connected = true;
    this.#milestone.hidden = false;
    this.#update();
  }

  #update() {
    const peer = this.#peer;
    if (!peer) return;
    const { steps, states } = peer;
    this.#chips.replaceChildren(...Object.entries(states).filter(([name]) => name !== "liveness").map(([name, value]) => chip(name, value)));
    if (!steps.length) return this.#hold("Waiting for PEER1's offer", "Somebody has joined and is making an offer. When it arrives, your steps appear here.");
    if (!this.#cards.size) this.#lay(peer);
    for (const step of steps) this.#cards.get(step.id)?.update(step);
    this.#illustrate(peer);
    this.#evidence(peer);
    for (const card of this.#cards.values()) card.flush();
    this.#sayNext();
    if (this.#leading && !this.#connected && !this.#find("running")) this.focus();
  }

  #sayNext() {
    const done = [...this.#cards.values()].filter(({ state }) => state === "done").length;
    const ready = this.#find("ready") ?? this.#find("failed");
    const waiting = this.#find("waiting");
    const running = this.#find("running");
    const what = this.#connected ? ""
      : running ? `Running: ${running.title}.`
      : ready ? `Next: ${ready.title}.`
      : waiting ? `Waiting: ${waiting.title}.`
      : "All your steps are done; the rest is the browsers' work.";
    const text = `${done} of ${this.#cards.size} steps done. ${what}`.trim();
    if (this.#next.textContent === text) return;
    this.#next.textContent = text;
    announce(text);
  }

  /** @param {import("../../client/types.d.ts").Step["state"]} state */
  #find(state) {
    return [...this.#cards.values()].find((card) => card.state === state) ?? null;
  }

  /**
   * Lays the board out for one's own role.
   * @param {Peer} peer
   */
  #lay({ role, steps }) {
    for (const step of steps) this.#cards.set(step.id, new StepCard(step, (id) => this.#press(id)));
    const list = el("ol", { class: "stages", "data-role": role });
    // For the eye alone: each lane says whose it is.
    const names = ["PEER1", "PEER2"].map((name) => el("span", { class: name }, name === role ? `${name}, you` : name));
    list.append(el("li", { class: "lanes lane-names", "aria-hidden": "true" }, ...names));
    for (const { stage, title, server, other } of STAGES) {
      const own = steps.filter((step) => step.stage === stage).map(({ id }) => this.#cards.get(id)?.element ?? null);
      const far = role === "PEER1" ? other.PEER2 : other.PEER1;
      const lanes = el("div", { class: "lanes" });
      if (server) lanes.append(this.#other(stage, "server", "Server", server));
      if (own.length) lanes.append(el("ol", { class: `lane own ${role}`, "aria-label": `${role}, you` }, ...own));
      if (far) lanes.append(this.#other(stage, role === "PEER1" ? "PEER2" : "PEER1", role === "PEER1" ? "PEER2" : "PEER1", far));
      list.append(el("li", { class: "stage-block", "data-stage": stage }, el("h3", {}, el("span", { class: "stage-number" }, `Stage ${stage}`), " ", title), lanes));
    }
    this.#body.replaceChildren(list);
  }

  /**
   * @param {number} stage
   * @param {string} lane
   * @param {string} name
   * @param {string} text
   */
  #other(stage, lane, name, text) {
    const word = el("span", { class: "step-word" }, "not yet");
    const lines = el("ol", { class: "lines" });
    const element = el("div", { class: `lane other ${lane}`, "data-state": "locked" }, el("p", { class: "who" }, name, word), el("p", {}, text), lines);
    this.#others.set(stage, { element, word, lines });
    return element;
  }

  /** @param {StepId} id */
  async #press(id) {
    const peer = this.#peer;
    const card = this.#cards.get(id);
    if (!peer || !card) return;
    this.#pressed = id;
    this.#leading = true;
    try {
      await peer.press(id);
    } catch (error) {
      const { text, advice } = problemOf(error);
      card.fail(`${text} ${advice}`.trim());
    }
    this.#schedule();
  }

  /** A line goes to the step that caused it; what came from the server to whoever sent it. @param {TraceRecord} record */
  #trace(record) {
    if (this.#connected || record.kind === "message") return;
    if (record.kind === "receive") this.#others.get(this.#peer?.role === "PEER1" ? 4 : record.stage === 3 ? 2 : 5)?.lines.append(traceLine(record));
    else if (this.#pressed) this.#cards.get(this.#pressed)?.log(record);
    this.#schedule();
  }

  /** Descriptions and candidates, under the steps that brought them. @param {Peer} peer */
  #illustrate({ draft, remoteDescription, candidates, states }) {
    /** @param {StepId[]} ids */
    const card = (...ids) => ids.map((id) => this.#cards.get(id)).find(Boolean);
    if (draft) card("p1-create-offer", "p2-create-answer")?.describe(draft.type === "offer" ? "Your offer" : "Your answer", draft.sdp);
    if (remoteDescription) card("p1-set-remote-answer", "p2-set-remote-offer")?.describe(remoteDescription.type === "offer" ? "PEER1's offer" : "PEER2's answer", remoteDescription.sdp);
    card("p1-set-local-offer", "p2-set-local-answer")?.list("Your candidates", candidates.local, { complete: states.gathering === "complete" });
    card("p1-add-candidates", "p2-add-candidates")?.list("The other side's candidates", candidates.remote, { buffered: candidates.buffered });
  }

  /** What the far side and the server have done, as far as one can know from here. @param {Peer} peer */
  #evidence({ role, steps }) {
    const sent = steps.some(({ id, state }) => (id === "p1-send-offer" || id === "p2-send-answer") && state === "done");
    const answered = steps.some(({ id, state }) => id === "p1-set-remote-answer" && state !== "locked" && state !== "waiting");
    /** @type {Record<number, string>} */
    const reached = role === "PEER1"
      ? { 2: answered ? "done" : sent ? "running" : "locked", 3: answered ? "done" : sent ? "running" : "locked", 4: answered ? "done" : "locked" }
      : { 1: "done", 2: "done", 4: this.#connected ? "done" : sent ? "running" : "locked" };
    const all = { ...reached, 5: this.#connected ? "done" : "locked" };
    for (const [stage, state] of Object.entries(all)) {
      const other = this.#others.get(Number(stage));
      if (!other || other.element.dataset.state === state) continue;
      other.element.dataset.state = state;
      other.word.textContent = state === "done" ? "done" : state === "running" ? "under way" : "not yet";
    }
  }

  /**
   * @param {string} title
   * @param {string} text
   */
  #hold(title, text) {
    setText(this.#next, `${title}.`);
    if (!this.#body.querySelector(".hold")) this.#body.replaceChildren(el("p", { class: "hold", test: "steps-waiting" }));
    setText(/** @type {Element} */ (this.#body.firstElementChild), text);
  }
}
