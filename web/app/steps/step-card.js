/**
 * One step on the board: the call as a button, its hint, and, once made, what it caused: states, log lines, SDP, candidates.
 */
import { el, icon, setText } from "../dom.js";
import { traceLine } from "../trace-line.js";
import { explainCandidate, parseCandidate } from "./candidate.js";
import { explainSdp } from "./sdp.js";
import { STEP_TEXTS } from "./texts.js";

/** @typedef {import("../../client/types.d.ts").Step} Step */
/** @typedef {import("../../client/types.d.ts").PeerStates} PeerStates */
/** @typedef {import("../../client/types.d.ts").TraceRecord} TraceRecord */

/** Said beside the colour. @type {Record<Step["state"], string>} */
const WORDS = { locked: "later", waiting: "waiting", ready: "ready", running: "running", done: "done", failed: "failed, try again" };
/** Lines shown under one step. */
const LINES = 60;

export class StepCard {
  /** @type {Step["state"] | null} */
  #state = null;
  #lineCount = 0;
  #pendingLines = /** @type {TraceRecord[]} */ ([]);
  /** @type {string | null} */
  #sdp = null;
  #candidateKey = "";
  #word = el("span", { class: "step-word" });
  #tick = el("span", { class: "step-tick", "aria-hidden": "true" });
  #wait = el("p", { class: "step-wait" });
  #problem = el("p", { class: "step-problem", role: "alert" });
  #outcome = el("p", { class: "chips outcome" });
  #lines = el("ol", { class: "lines" });
  #sheet = el("div", { class: "sheet" });
  #candidates = el("div", { class: "sheet" });
  #hint;

  /**
   * @param {Step} step
   * @param {(id: Step["id"]) => void} onPress
   */
  constructor(step, onPress) {
    const { title, does, risk } = STEP_TEXTS[step.id];
    this.id = step.id;
    this.title = title;
    this.button = el("button", { class: "step-button", type: "button", test: `step-${step.id}`, click: () => onPress(step.id) },
      this.#tick, el("span", { class: "step-name" }, el("span", {}, title), " ", el("code", {}, step.call)), " ", this.#word);
    this.#hint = el("details", { class: "step-hint" }, el("summary", {}, "What it does, and what can go wrong"),
      el("p", {}, does), el("p", { class: "risk" }, el("strong", {}, "Can go wrong: "), risk));
    this.element = el("li", { class: "step", tabindex: -1 },
      this.button, this.#wait, this.#problem, this.#hint, this.#outcome, this.#lines, this.#sheet, this.#candidates);
    this.update(step);
  }

  /** @param {Step} step */
  update({ state, waitsFor, before, after }) {
    setText(this.#wait, state === "waiting" && waitsFor ? `Waits for ${waitsFor}.` : "");
    if (after && before && (state === "done" || state === "failed" || state === "ready")) this.#outcome.replaceChildren(...outcome(before, after));
    if (state === this.#state) return;
    this.#state = state;
    this.element.dataset.state = state;
    this.button.disabled = state !== "ready" && state !== "failed";
    this.#word.textContent = WORDS[state];
    this.#tick.replaceChildren(...(state === "done" ? [icon("check")] : []));
    this.#hint.open = state === "ready" || state === "waiting" || state === "failed";
    if (state !== "failed") this.#problem.textContent = "";
  }

  get state() {
    return this.#state;
  }

  /** @param {string} text */
  fail(text) {
    this.#problem.textContent = text;
  }

  /** @param {TraceRecord} record caused by this step */
  log(record) {
    if (this.#lineCount >= LINES) return;
    this.#lineCount += 1;
    this.#pendingLines.push(record);
  }

  /** Draws the lines that came since the last frame. */
  flush() {
    if (this.#pendingLines.length) this.#lines.append(...this.#pendingLines.splice(0).map(traceLine));
  }

  /**
   * The description this step made, line by line.
   * @param {string} title
   * @param {string} sdp
   */
  describe(title, sdp) {
    if (sdp === this.#sdp) return;
    this.#sdp = sdp;
    const rows = explainSdp(sdp).map(({ line, meaning, reference }) =>
      el("div", {}, el("dt", {}, el("code", {}, line)), el("dd", {}, meaning, reference && el("span", { class: "reference" }, ` ${reference}`))));
    this.#sheet.replaceChildren(fold(`${title}, ${rows.length} lines`, el("dl", { class: "sdp", test: "sdp" }, ...rows)));
  }

  /**
   * @param {string} title
   * @param {RTCIceCandidateInit[]} candidates
   * @param {{ buffered?: RTCIceCandidateInit[], complete?: boolean }} [options]
   */
  list(title, candidates, { buffered = [], complete = false } = {}) {
    const key = `${candidates.length} ${buffered.length} ${complete}`;
    if (key === this.#candidateKey || (!candidates.length && !complete)) return;
    this.#candidateKey = key;
    const held = new Set(buffered.map(({ candidate }) => candidate));
    const items = candidates.map(({ candidate = "" }) => candidateItem(candidate, held.has(candidate)));
    if (complete) items.push(el("li", { class: "end", test: "end-of-candidates" }, icon("check"), "End of candidates: all are listed."));
    this.#candidates.replaceChildren(fold(`${title}: ${candidates.length}`, el("ul", { class: "candidates", test: "candidates" }, ...items)));
  }
}

/**
 * @param {string} line
 * @param {boolean} buffered
 */
function candidateItem(line, buffered) {
  const candidate = parseCandidate(line);
  if (!candidate) return el("li", {}, el("code", {}, line));
  const { type, protocol, address, port } = candidate;
  return el("li", { test: "candidate", "data-type": type },
    el("p", { class: "chips" }, el("strong", {}, type), el("span", {}, protocol.toUpperCase()), el("code", {}, address), el("span", {}, `port ${port}`),
      buffered && el("span", { class: "chip held", test: "buffered" }, "in the buffer")),
    el("dl", {}, ...explainCandidate(candidate).map(([name, meaning]) => el("div", {}, el("dt", {}, name), el("dd", {}, meaning)))));
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 */
function fold(title, content) {
  return el("details", { open: true }, el("summary", {}, title), content);
}

/**
 * Signaling and connection always, the others when they changed.
 * @param {Readonly<PeerStates>} before
 * @param {Readonly<PeerStates>} after
 */
function outcome(before, after) {
  const names = /** @type {(keyof PeerStates)[]} */ (Object.keys(after));
  return names.filter((name) => name === "signaling" || name === "connection" || before[name] !== after[name]).map((name) =>
    el("span", { class: "chip", "data-name": name, "data-before": before[name], "data-after": after[name] },
      el("span", { class: "chip-name" }, name), " ",
      ...(before[name] === after[name] ? [after[name]] : [before[name], " → ", el("strong", {}, after[name])])));
}
