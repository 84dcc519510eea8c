/**
 * Chromium with two people in it.
 * @module
 */

import puppeteer from "puppeteer-core";

/** A page at rest: nothing of its loading is counted. */
const REST = 400;
const LIMIT = 30_000;
/** How long a finger stays on a button, in ms: more than a frame, and not always the same part of one. */
const HOLD_MIN = 60;
const HOLD_SPREAD = 50;

export class Stage {
  #browser;
  #site;
  #iceServers;

  /** @param {import("puppeteer-core").Browser} browser @param {string} site @param {string} iceServers */
  constructor(browser, site, iceServers) {
    this.#browser = browser;
    this.#site = site;
    this.#iceServers = iceServers;
  }

  /** @param {string} site @param {string} iceServers JSON */
  static async open(site, iceServers) {
    const browser = await puppeteer.launch({
      executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
      // Two people have two windows; neither is in the background.
      args: ["--no-sandbox", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-networking", "--no-first-run"],
    });
    console.log(await browser.version());
    return new Stage(browser, site, iceServers);
  }

  async close() {
    await this.#browser.close();
  }

  /**
   * One pairing of two fresh profiles: milliseconds, and the joiner's trace if it has one.
   * @param {{ page: string, server: string, early: string, id: string, sealed: string, name: string }} how
   */
  async join({ page, ...how }) {
    const url = (/** @type {string} */ role, more = {}) => `${this.#site}/${page}.html?${new URLSearchParams({ role, iceServers: this.#iceServers, ...how, ...more })}`;
    const waiting = await this.#visit(url("wait"));
    await state(waiting, "waiting");
    const place = how.sealed && (await waiting.evaluate(() => document.documentElement.dataset.place));
    const joining = await this.#visit(url("join", place ? { name: place } : {}));
    await state(joining, "ready");
    await click(joining, "#go", [joining, waiting]);
    const result = await joining.evaluate(() => ({ took: globalThis.took, trace: globalThis.peer?.trace?.toJSONLines() }));
    await leave(joining, waiting);
    return /** @type {{ took: number, trace?: string }} */ (result);
  }

  /**
   * The same with the page that people use: a name is typed on its start page, then Join is clicked.
   * @param {{ server: string, name: string }} how
   */
  async joinAtPage({ server, name }) {
    const waiting = await this.#visit(`${this.#site}/crowfly.html?${new URLSearchParams({ role: "wait", server, name })}`);
    await state(waiting, "waiting");
    const joining = await this.#visit(server, stopwatch);
    await joining.type('[data-testid="join-input"]', name);
    await click(joining, '[data-testid="join-button"]', [joining, waiting]);
    const took = await joining.evaluate(() => globalThis.took);
    await leave(joining, waiting);
    return /** @type {{ took: number }} */ ({ took });
  }

  /** What WebRTC itself takes: two connections in one page that hand each other everything at once. @param {boolean} early */
  async floor(early) {
    const page = await this.#visit(`${this.#site}/empty.html`);
    const took = await page.evaluate(async (early) => {
      const make = () => [new RTCPeerConnection(), new RTCPeerConnection()];
      const made = early ? make() : null;
      await new Promise((resolve) => setTimeout(resolve, 400));
      const begun = performance.now();
      const [one, other] = made ?? make();
      const held = /** @type {RTCIceCandidate[]} */ ([]);
      one.addEventListener("icecandidate", ({ candidate }) => candidate && void other.addIceCandidate(candidate));
      other.addEventListener("icecandidate", ({ candidate }) => {
        if (!candidate) return;
        if (one.remoteDescription) void one.addIceCandidate(candidate);
        else held.push(candidate);
      });
      const channel = one.createDataChannel("floor");
      const open = new Promise((resolve) => channel.addEventListener("open", resolve));
      const offer = await one.createOffer();
      const described = one.setLocalDescription(offer);
      await other.setRemoteDescription(offer);
      const answer = await other.createAnswer();
      await Promise.all([other.setLocalDescription(answer), described.then(() => one.setRemoteDescription(answer))]);
      held.forEach((candidate) => void one.addIceCandidate(candidate));
      await open;
      return performance.now() - begun;
    }, early);
    await leave(page);
    return took;
  }

  /** @param {string} url @param {() => void} [before] runs before the page's own scripts */
  async #visit(url, before) {
    const page = await (await this.#browser.createBrowserContext()).newPage({ type: "window" });
    page.on("pageerror", (error) => console.error(`${url}: ${error}`));
    if (before) await page.evaluateOnNewDocument(before);
    await page.goto(url);
    return page;
  }
}

/** Runs in a page that knows nothing of being measured: from the last click to the first open channel. */
function stopwatch() {
  let clicked = 0;
  addEventListener("click", ({ timeStamp }) => { clicked = timeStamp; }, { capture: true });
  const { createDataChannel } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = createDataChannel.apply(this, args);
    channel.addEventListener("open", () => {
      globalThis.took ??= performance.now() - clicked;
      document.documentElement.dataset.state = "open";
    });
    return channel;
  };
}

/**
 * A click as a person makes it, until both channels are open: the pointer rests on the button, and holds it down for as long as a finger
 * does. Whatever the driver needs in the pages is there before, so that nothing of its own runs meanwhile.
 * @param {import("puppeteer-core").Page} page @param {string} button @param {import("puppeteer-core").Page[]} pages
 */
async function click(page, button, pages) {
  const open = Promise.all(pages.map((one) => state(one, "open")));
  await page.hover(button);
  await rest();
  await page.mouse.down();
  await rest(HOLD_MIN + Math.random() * HOLD_SPREAD);
  await page.mouse.up();
  await open;
}

function rest(ms = REST) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {...import("puppeteer-core").Page} pages */
async function leave(...pages) {
  await Promise.all(pages.map((page) => page.browserContext().close()));
}

/** @param {import("puppeteer-core").Page} page @param {string} wanted */
async function state(page, wanted) {
  await page.waitForFunction((wanted) => {
    const state = document.documentElement.dataset.state ?? "";
    if (state.startsWith("failed")) throw new Error(state);
    return state === wanted;
  }, { timeout: LIMIT, polling: "mutation" }, wanted);
}
