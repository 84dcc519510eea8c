/**
 * Fakes and virtual time in the places of the browser's, for one test.
 */
import { FakeServer } from "./server.js";
import { FakeWebRTC } from "./webrtc.js";

/** Virtual time moves in steps this long. */
const STEP = 50;

/**
 * Puts a fake server, fake WebRTC and virtual time into globalThis until the test is over. The page came over plain HTTP, where rooms are
 * open; over HTTPS it has WebCrypto, whose time is real, and the server draws names as the real one does.
 * @param {import("node:test").TestContext} test @param {{ https?: boolean }} [options]
 */
export function createWorld(test, { https = false } = {}) {
  const server = new FakeServer();
  server.drawn = https;
  const webrtc = new FakeWebRTC();
  const { subtle } = crypto;
  let now = 0;
  test.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const timers = countTimers();
  const fakes = {
    WebSocket: server.WebSocket,
    RTCPeerConnection: webrtc.RTCPeerConnection,
    performance: { now: () => now, timeOrigin: 0 },
    location: { origin: "http://crowfly.example" },
  };
  const saved = Object.keys(fakes).map((name) => /** @type {const} */ ([name, Object.getOwnPropertyDescriptor(globalThis, name)]));
  for (const [name, value] of Object.entries(fakes)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  if (!https) Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  test.after(() => {
    Object.defineProperty(crypto, "subtle", { value: subtle, configurable: true });
    timers.restore();
    for (const [name, descriptor] of saved) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete (/** @type {any} */ (globalThis)[name]);
    }
  });
  /** Time passes, and with it what it brings. @param {number} ms */
  const pass = async (ms) => {
    for (let passed = 0; passed < ms; passed += STEP) {
      now += STEP;
      test.mock.timers.tick(STEP);
      await settle();
    }
  };
  /** The clock goes on while nothing else does. @param {number} ms */
  const sleep = (ms) => void (now += ms);
  return { server, webrtc, pass, sleep, settle, timers };
}

/** What fires events at a browser's globalThis. @param {import("node:test").TestContext} test */
export function fakeWindow(test) {
  const window = new EventTarget();
  const add = globalThis.addEventListener;
  Object.assign(globalThis, { addEventListener: window.addEventListener.bind(window) });
  test.after(() => Object.assign(globalThis, { addEventListener: add }));
  return window;
}

/** Until everything that waits for nothing but its turn has had it. */
export async function settle(turns = 24) {
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
}

/** How many timers are set and have neither fired nor been cleared. */
function countTimers() {
  /** @type {Set<unknown>} */ const pending = new Set();
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const set = (/** @type {any} */ original, /** @type {boolean} */ once) => (/** @type {Function} */ callback, /** @type {number} */ ms) => {
    /** @type {unknown} */
    const timer = original(() => {
      if (once) pending.delete(timer);
      callback();
    }, ms);
    pending.add(timer);
    return timer;
  };
  const clear = (/** @type {any} */ original) => (/** @type {unknown} */ timer) => {
    pending.delete(timer);
    original(timer);
  };
  Object.assign(globalThis, {
    setTimeout: set(setTimeout, true),
    setInterval: set(setInterval, false),
    clearTimeout: clear(clearTimeout),
    clearInterval: clear(clearInterval),
  });
  return {
    get pending() {
      return pending.size;
    },
    restore: () => Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval }),
  };
}

/**
 * The next event of a type.
 * @param {EventTarget} target @param {string} type
 * @returns {Promise<any>}
 */
export function once(target, type) {
  return new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
}

/** All events of a type from now on. @param {EventTarget} target @param {string} type @returns {any[]} */
export function collect(target, type) {
  /** @type {Event[]} */ const events = [];
  target.addEventListener(type, (event) => events.push(event));
  return events;
}
