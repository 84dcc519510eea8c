/**
 * The steps of the handshake, in order, for either role: what each is called, what it needs, how far it is. Pure.
 *
 * docs/handshake.md tells the same story. negotiation.js supplies the calls; automatic mode presses each step as it gets ready,
 * step mode waits for {@link Peer.press}.
 * @module
 */
//# allFunctionsCalledOnLoad

/** @import { PeerStates, Role, Stage, Step, StepId } from "./types.d.ts" */

/**
 * A row of the table. `after` names the step that must be done first; `needs` what must have come from outside.
 * @typedef {object} StepPlan
 * @property {StepId} id
 * @property {Stage} stage
 * @property {string} call
 * @property {StepId | null} after
 * @property {Need | null} needs
 * @property {boolean} [repeats] more of what it needs may come later
 * @property {boolean} [overlaps] automatic mode need not await the step before: the browser keeps calls in order (the operations
 *   chain, W3C WebRTC §4.4.1.2), and a description is final once created (RFC 9429 §4.1.8)
 * @typedef {"offer" | "answer" | "remote-candidates" | "local-candidates" | "servers" | "signaling"} Need
 */

/** What a waiting step waits for, in words. @type {Readonly<Record<Need, string>>} */
const WAITS_FOR = Object.freeze({
  offer: "the other side's offer",
  answer: "the other side's answer",
  "remote-candidates": "the other side's candidates",
  "local-candidates": "the end of gathering",
  servers: "the ICE servers, which the signaling server hands out",
  signaling: "the signaling server",
});

/**
 * PEER1, who joined last, offers. The answer is the last to be set: with candidates of both sides in place by then, there is nothing
 * to wait for, and Firefox gives up after five seconds of waiting.
 * @type {readonly StepPlan[]}
 */
const OFFERER = [
  { id: "p1-create-connection", stage: 1, call: "new RTCPeerConnection(configuration)", after: null, needs: null },
  { id: "p1-create-channel", stage: 1, call: "pc.createDataChannel(label)", after: "p1-create-connection", needs: null },
  { id: "p1-create-offer", stage: 1, call: "pc.createOffer()", after: "p1-create-channel", needs: null },
  { id: "p1-set-local-offer", stage: 1, call: "pc.setLocalDescription(offer)", after: "p1-create-offer", needs: "servers" },
  { id: "p1-send-offer", stage: 1, call: "signaling.send(offer)", after: "p1-set-local-offer", needs: "signaling", overlaps: true },
  { id: "p1-send-candidates", stage: 5, call: "signaling.send(candidates)", after: "p1-send-offer", needs: "local-candidates", repeats: true },
  { id: "p1-add-candidates", stage: 5, call: "pc.addIceCandidate(candidate)", after: "p1-send-offer", needs: "remote-candidates", repeats: true },
  { id: "p1-set-remote-answer", stage: 5, call: "pc.setRemoteDescription(answer)", after: "p1-send-offer", needs: "answer" },
];

/** PEER2, who waited, answers. @type {readonly StepPlan[]} */
const ANSWERER = [
  { id: "p2-create-connection", stage: 3, call: "new RTCPeerConnection(configuration)", after: null, needs: "offer" },
  { id: "p2-set-remote-offer", stage: 3, call: "pc.setRemoteDescription(offer)", after: "p2-create-connection", needs: null },
  { id: "p2-create-answer", stage: 3, call: "pc.createAnswer()", after: "p2-set-remote-offer", needs: null, overlaps: true },
  { id: "p2-set-local-answer", stage: 3, call: "pc.setLocalDescription(answer)", after: "p2-create-answer", needs: null },
  { id: "p2-send-answer", stage: 3, call: "signaling.send(answer)", after: "p2-set-local-answer", needs: "signaling", overlaps: true },
  { id: "p2-send-candidates", stage: 3, call: "signaling.send(candidates)", after: "p2-send-answer", needs: "local-candidates", repeats: true },
  { id: "p2-add-candidates", stage: 5, call: "pc.addIceCandidate(candidate)", after: "p2-create-connection", needs: "remote-candidates", repeats: true },
];

/** One role's steps and how far each is. */
export class StepList {
  /** @type {readonly StepPlan[]} */ #plans;
  /** @type {Role} */ #role;
  #automatic;
  /** @type {(need: Need) => boolean} */ #have;
  /** @type {Map<StepId, { state: "running" | "done" | "failed", before: PeerStates, after: PeerStates | null }>} */ #begun = new Map();

  /**
   * @param {Role} role
   * @param {boolean} automatic
   * @param {(need: Need) => boolean} have whether what a step needs from outside is here
   */
  constructor(role, automatic, have) {
    this.#automatic = automatic;
    this.#role = role;
    this.#plans = role === "PEER1" ? OFFERER : ANSWERER;
    this.#have = have;
  }

  /** As shown to people. @returns {Step[]} */
  list() {
    return this.#plans.map((plan) => {
      const begun = this.#begun.get(plan.id);
      const state = this.stateOf(plan.id);
      return Object.freeze({
        id: plan.id,
        stage: plan.stage,
        role: this.#role,
        call: plan.call,
        state,
        waitsFor: state === "waiting" && plan.needs ? WAITS_FOR[plan.needs] : null,
        before: begun?.before ?? null,
        after: begun?.after ?? null,
      });
    });
  }

  /** Steps that may be pressed now, in order. @returns {StepId[]} */
  ready() {
    return this.#plans.filter((plan) => this.stateOf(plan.id) === "ready").map((plan) => plan.id);
  }

  /** @param {StepId} id @returns {Step["state"]} */
  stateOf(id) {
    const plan = this.#plans.find((candidate) => candidate.id === id);
    if (!plan) return "locked"; // a step of the other role
    const begun = this.#begun.get(id)?.state;
    const again = begun === "done" && plan.repeats && plan.needs !== null && this.#have(plan.needs);
    if (begun && !again) return begun;
    const before = plan.after ? this.#begun.get(plan.after)?.state : "done";
    const underWay = before === "running" && this.#automatic && plan.overlaps;
    if (before !== "done" && !underWay) return "locked";
    return plan.needs && !this.#have(plan.needs) ? "waiting" : "ready";
  }

  /** @param {StepId} id */
  stageOf(id) {
    return this.#plans.find((plan) => plan.id === id)?.stage ?? null;
  }

  /** @param {StepId} id @param {PeerStates} before */
  begin(id, before) {
    this.#begun.set(id, { state: "running", before, after: null });
  }

  /** @param {StepId} id @param {"done" | "failed"} state @param {PeerStates} after */
  finish(id, state, after) {
    const begun = this.#begun.get(id);
    if (begun) this.#begun.set(id, { ...begun, state, after });
  }
}
