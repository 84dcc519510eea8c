/**
 * The page's entry: what the address says decides what is shown. `/` is the start page, `/#room` is a room.
 *
 * At most one room is open at a time. Every way out of it (Leave, Back, another link, closing the tab) ends in `close`.
 */
import { createRoom, joinRoom, missing, parseRoom, prepare } from "../client/index.js";
import { el, focusOn } from "./dom.js";
import { chooseSteps, forgetSeat, keepKey, keepSeat, keptKey, seatToken, stepsChosen } from "./memory.js";
import { problemOf } from "./problem.js";
import { RoomView } from "./room-view.js";
import { startView } from "./start.js";

/** @typedef {import("../client/types.d.ts").Room} Room */
/** @typedef {import("./problem.js").Problem} Problem */

/**
 * Drawing a room takes the processor time in which two browsers find each other. Who joins sees it when they have, or after so long, in
 * ms: less than a person notices.
 */
const DRAWN_AFTER = 100;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));

/** @type {{ room: Room, view: RoomView } | null} */
let here = null;
/** Why rooms have closed, also before there was anything to see of them. @type {WeakMap<Room, string>} */
const endings = new WeakMap();
/** The attempt to get into a room; a newer one ends it. @type {AbortController | null} */
let attempt = null;
/** The last room's view, whose conversation goes on when the same room is entered again. @type {{ name: string, view: RoomView } | null} */
let last = null;

addEventListener("hashchange", () => route());
// The other side learns of it at once. A seat alone is kept for a while by the server, so that a reload finds the room as it was.
addEventListener("pagehide", () => { if (here?.room.peer) void here.room.leave(); });
// Back from the browser's page cache, where no connection survives: begin again.
addEventListener("pageshow", (event) => { if (event.persisted) void rejoin(); });
route();

/** Shows what the address asks for. */
function route() {
  const target = location.href;
  const place = placeIn(target);
  if (place?.key) keepKey(place.name, place.key);
  // A secret in the address would stay in the browser's history, and be seen by whoever looks at the screen.
  if (place?.key || place?.words) history.replaceState(null, "", `${location.pathname}${location.search}#${place.name}`);
  if (here && place?.name === here.room.name && !here.room.closed) return;
  void close();
  if (location.hash.length > 1 && !missing().length) void join(target);
  else showStart();
}

/** @param {Partial<import("./start.js").StartOptions> & { focus?: boolean }} [options] */
function showStart({ focus = false, ...options } = {}) {
  const start = startView({
    steps: stepsChosen(),
    lacks: missing(),
    onSteps: setSteps,
    onLikely: () => prepare({ steps: stepsChosen() }),
    onCreate: create,
    onJoin: (target) => join(target, { fromStart: true }),
    ...options,
  });
  show(start.element, "start");
  if (focus) start.focus();
}

/**
 * @param {string} name empty: the server draws one
 * @returns {Promise<Problem | null>}
 */
async function create(name) {
  const { signal } = newAttempt();
  try {
    const steps = stepsChosen();
    const made = createRoom({ steps, signal, ...(name && { name }) }).then((room) => seated(room, signal));
    enter(...await Promise.all([made, loadBoard(steps)]));
    return null;
  } catch (error) {
    return failed(error, signal);
  }
}

/**
 * From the start page an error is returned, to be shown at its field; from a link the start page is shown with it.
 * @param {string} target link or name
 * @param {{ fromStart?: boolean }} [options]
 * @returns {Promise<Problem | null>}
 */
async function join(target, { fromStart = false } = {}) {
  const { signal } = newAttempt();
  const steps = stepsChosen();
  try {
    const { name, server, words, key } = parseRoom(target);
    if (server && new URL(server).origin !== location.origin) throw Object.assign(new Error(), { code: "other-server" });
    if (!fromStart) showJoining(name);
    // A tab that held a seat here before takes it back.
    const kept = key ?? keptKey(name);
    const place = words ? target : kept ? `#${name}.${kept}` : name;
    const joined = joinRoom(place, { steps, signal, token: seatToken(name) ?? undefined }).then((room) => seated(room, signal));
    const [room, board] = await Promise.all([joined, loadBoard(steps)]);
    if (!steps) await connectedSoon(room);
    signal.throwIfAborted();
    enter(room, board);
    return null;
  } catch (error) {
    const problem = failed(error, signal);
    if (problem && !fromStart) showStart({ typed: typedAs(target), failed: { form: "join", problem }, focus: true });
    return problem;
  }
}

/**
 * From here on a reload finds its seat, also before there is anything to see.
 * @param {Room} room
 * @param {AbortSignal} signal of the attempt; given up, it leaves the room
 */
function seated(room, signal) {
  keepSeat(room);
  const { name, key } = parseRoom(room.link);
  if (key) keepKey(name, key);
  room.addEventListener("close", ({ reason }) => {
    endings.set(room, reason);
    // A secret that is none is not tried again.
    if (reason === "not-verified" || reason === "burned") forgetSeat(name);
  });
  signal.addEventListener("abort", () => forgetSeat(room.name));
  return room;
}

/** @param {Room} room */
function connectedSoon({ peer }) {
  return new Promise((resolve) => {
    if (!peer || peer.states.channel === "open") return resolve(null);
    for (const type of /** @type {const} */ (["open", "close"])) peer.addEventListener(type, resolve, { once: true });
    setTimeout(resolve, DRAWN_AFTER);
  });
}

/**
 * Step mode comes only when it is wanted.
 * @param {boolean} steps
 */
async function loadBoard(steps) {
  if (!steps) return null;
  const href = "/app/steps/steps.css";
  if (!document.querySelector(`link[href="${href}"]`)) {
    const sheet = el("link", { rel: "stylesheet", href });
    const settled = new Promise((resolve) => { sheet.onload = sheet.onerror = resolve; });
    document.head.append(sheet);
    await settled;
  }
  return (await import("./steps/board.js")).Board;
}

/**
 * @param {Room} room
 * @param {import("./room-view.js").RoomViewOptions["steps"]} steps
 */
function enter(room, steps) {
  attempt = null;
  void close();
  // A server that has forgotten the room issues a new token.
  room.addEventListener("signaling", () => keepSeat(room));
  const hash = `#${encodeURIComponent(room.name)}`;
  // Back leads to the start page; a reload leads into the room again.
  if (location.hash !== hash) history.pushState(null, "", hash);
  if (last && last.name !== room.name) forget();
  const view = new RoomView(room, { steps, ended: endings.get(room) ?? "", earlier: last?.view ?? null, onLeave: leave, onRejoin: rejoin, onAutomatic: goAutomatic });
  here = { room, view };
  last = { name: room.name, view };
  show(view.element, "room");
  view.open();
  view.focus();
}

/** The Leave button. */
function leave() {
  if (here) forgetSeat(here.room.name);
  void close();
  forget();
  history.pushState(null, "", location.pathname);
  showStart({ focus: true });
}

/** What was said goes; a draft stays in the tab. */
function forget() {
  last?.view.transcript.release();
  last = null;
}

/** Into the same room again: the address still names it. */
async function rejoin() {
  await close();
  route();
}

/** Step by step was chosen, and is more than is wanted now. */
function goAutomatic() {
  setSteps(false);
  void rejoin();
}

/** @param {boolean} on */
function setSteps(on) {
  chooseSteps(on);
  // The address may ask for it, too.
  if (!on) history.replaceState(null, "", location.pathname + location.hash);
}

/** Every way out of a room. Resolves when it is left. */
async function close() {
  attempt?.abort();
  const leaving = here;
  here = null;
  leaving?.view.close();
  await leaving?.room.leave();
}

/**
 * What to say of an attempt that failed; nothing when it was given up. Whatever part of it succeeded is undone.
 * @param {unknown} error
 * @param {AbortSignal} signal
 */
function failed(error, signal) {
  if (signal.aborted) return null;
  attempt?.abort();
  return problemOf(error);
}

function newAttempt() {
  attempt?.abort();
  attempt = new AbortController();
  return attempt;
}

/** @param {string} name */
function showJoining(name) {
  const heading = el("h1", { tabindex: -1 }, "Joining ", el("bdi", {}, name), "…");
  show(el("div", { class: "joining", test: "joining" }, heading, el("button", { type: "button", test: "cancel-join", click: leave }, "Cancel")), "joining");
  focusOn(heading);
}

/**
 * @param {HTMLElement} element
 * @param {"start" | "joining" | "room"} view
 */
function show(element, view) {
  document.body.dataset.view = view;
  banner.hidden = view === "room";
  document.title = "Crowfly: the direct way";
  main.replaceChildren(element);
}

/** What stands in the field after a link has failed: no key, which this tab has kept, but every word. @param {string} target */
function typedAs(target) {
  const place = placeIn(target);
  return place ? [place.name, ...(place.words ?? [])].join("-") : "";
}

/** @param {string} target */
function placeIn(target) {
  try {
    return parseRoom(target);
  } catch {
    return null;
  }
}
