/**
 * Chromium over CDP and Firefox over WebDriver BiDi, each launched once, and pages in fresh profiles that watch what goes wrong.
 *
 * Both run as they ship: mDNS candidates on, no permission given. Only traffic of their own to the makers' servers is turned off.
 * @module
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import puppeteer from "puppeteer-core";

/**
 * @typedef {"chromium" | "firefox"} Kind
 * @typedef {{
 *   spy?: () => void,
 *   expect?: RegExp[],
 *   prefs?: Record<string, unknown>,
 *   viewport?: import("puppeteer-core").Viewport,
 *   quiet?: boolean,
 *   own?: boolean,
 * }} PageOptions
 *   spy: runs in the page before its own scripts; expect: problems that belong to the scenario;
 *   prefs: Firefox settings, in a browser of its own; quiet: leave problems to the scenario;
 *   own: a browser of its own, to be killed or frozen
 */

/** @type {readonly Kind[]} */
export const KINDS = ["chromium", "firefox"];

/** Each browser with itself and with the other, in both roles: first who makes the room, then who joins. */
export const PAIRS = KINDS.flatMap((first) => KINDS.map((second) => /** @type {const} */ ([first, second])));

/** Generous: a limit that a busy machine reaches says nothing about the program. */
const WAIT_LIMIT = 60_000;

const CHROMIUM_FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-domain-reliability",
  "--disable-sync",
  "--no-default-browser-check",
  "--no-first-run",
  "--no-pings",
];

/** Firefox asks its maker for none of these while the tests run. */
const FIREFOX_PREFS = {
  "app.normandy.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.region.network.url": "",
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
};

/** @type {Map<string, Promise<import("puppeteer-core").Browser>>} */
const browsers = new Map();

/** The browser of a kind with these settings, launched when first asked for. */
export function browser(/** @type {Kind} */ kind, /** @type {Record<string, unknown>} */ prefs = {}) {
  const key = `${kind} ${JSON.stringify(prefs)}`;
  const known = browsers.get(key) ?? launch(kind, prefs);
  browsers.set(key, known);
  return known;
}

/** Ends every browser launched. */
export async function closeBrowsers() {
  const launched = await Promise.allSettled(browsers.values());
  browsers.clear();
  await Promise.all(launched.map((result) => (result.status === "fulfilled" ? result.value.close() : undefined)));
}

function launch(/** @type {Kind} */ kind, /** @type {Record<string, unknown>} */ prefs = {}) {
  if (kind === "chromium") {
    const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    const executablePath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
    return puppeteer.launch({ browser: "chrome", executablePath, args: [...CHROMIUM_FLAGS, ...sandbox], protocolTimeout: WAIT_LIMIT * 2 });
  }
  const executablePath = process.env.FIREFOX_BIN ?? "/usr/bin/firefox-esr";
  const extraPrefsFirefox = { ...FIREFOX_PREFS, ...prefs };
  return puppeteer.launch({ browser: "firefox", executablePath, extraPrefsFirefox, protocolTimeout: WAIT_LIMIT * 2 });
}

/**
 * Opens an address in a fresh profile.
 * @param {Kind} kind @param {string} url @param {PageOptions} [options]
 */
export async function openPage(kind, url, options = {}) {
  const { own = false, prefs } = options;
  const context = await (await (own ? launch(kind, prefs) : browser(kind, prefs))).createBrowserContext();
  // A window each: Firefox holds timers of a hidden tab back to one a second.
  const page = await context.newPage({ type: "window" });
  const visitor = new Visitor(kind, page, new URL(url).host, options);
  await visitor.prepare(options);
  await page.goto(url);
  return visitor;
}

/** Somebody at a page. */
export class Visitor {
  /** What went wrong in the page and was not expected. @type {string[]} */
  problems = [];
  /** What the page logged, problems included. @type {string[]} */
  log = [];
  #expected;
  #host;
  #quiet;
  #own;
  #closed = false;
  /** @type {{ pattern: RegExp, resolve: (line: string) => void }[]} */
  #awaited = [];

  /** @param {Kind} kind @param {import("puppeteer-core").Page} page @param {string} host @param {PageOptions} options */
  constructor(kind, page, host, { expect = [], quiet = false, own = false }) {
    this.kind = kind;
    this.#own = own;
    this.page = page;
    this.#host = host;
    this.#expected = [...expect];
    this.#quiet = quiet;
  }

  /** @param {PageOptions} options */
  async prepare({ spy, viewport }) {
    const { page } = this;
    page.setDefaultTimeout(WAIT_LIMIT);
    page.on("console", (message) => {
      this.#note(`${message.type()}: ${message.text()}`);
      if (message.type() === "error") this.#problem(`console: ${message.text()} ${message.location().url ?? ""}`);
    });
    page.on("pageerror", (error) => this.#problem(`error: ${error instanceof Error ? error.message : error}`));
    page.on("error", (error) => this.#problem(`crash: ${error.message}`));
    // alert, confirm, prompt, beforeunload: nothing here holds a person up.
    page.on("dialog", (dialog) => {
      this.#problem(`dialog: ${dialog.type()} ${dialog.message()}`);
      void dialog.accept();
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (/^(http|ws)/.test(url.protocol) && url.host !== this.#host) this.#problem(`request to another host: ${url}`);
    });
    page.on("requestfailed", (request) => this.#problem(`request failed: ${request.url()} ${request.failure()?.errorText}`));
    await page.evaluateOnNewDocument(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    if (spy) await page.evaluateOnNewDocument(spy);
    if (viewport) await page.setViewport(viewport);
  }

  /** From here on a problem that matches belongs to the scenario. @param {...RegExp} patterns */
  expect(...patterns) {
    this.#expected.push(...patterns);
  }

  /**
   * What a function returns in the page.
   * @template {unknown[]} A @template R
   * @param {(...args: A) => R} run @param {A} args
   * @returns {Promise<Awaited<R>>}
   */
  run(run, ...args) {
    return this.page.evaluate(/** @type {any} */ (run), ...args);
  }

  /**
   * Resolves when a function returns something true in the page.
   * @template {unknown[]} A
   * @param {(...args: A) => unknown} condition @param {A} args
   */
  async until(condition, ...args) {
    await this.page.waitForFunction(/** @type {any} */ (condition), {}, ...args);
  }

  /** Resolves with the first line of the log that matches, past or to come. @param {RegExp} pattern @returns {Promise<string>} */
  logged(pattern) {
    const line = this.log.find((known) => pattern.test(known));
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve) => this.#awaited.push({ pattern, resolve }));
  }

  /** Another tab that remembers what this one does, as when somebody duplicates it: one opened by the page gets a copy of its sessionStorage. */
  async duplicate() {
    const opened = new Promise((resolve) => this.page.once("popup", resolve));
    await this.run(() => void window.open(location.href));
    const visitor = new Visitor(this.kind, /** @type {import("puppeteer-core").Page} */ (await opened), this.#host, {});
    await visitor.prepare({});
    return visitor;
  }

  photograph() {
    return this.page.screenshot({ fullPage: true });
  }

  /** Closes the profile with all its pages, as when the window is closed. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    await (this.#own ? this.page.browser().close() : this.page.browserContext().close());
  }

  /** kill -9 of the browser and all its processes; it must be the page's own. */
  async kill() {
    this.#closed = true;
    for (const id of this.#processes()) attempt(() => process.kill(id, "SIGKILL")); // one may have ended since it was listed, or with its parent
  }

  /** Stops all processes of the page's own browser, or lets them go on. @param {boolean} frozen */
  freeze(frozen) {
    for (const id of this.#processes()) process.kill(id, frozen ? "SIGSTOP" : "SIGCONT");
  }

  /** Bytes that the page's own browser holds, all its processes together, shared memory counted once. */
  memory() {
    const sizes = this.#processes().map((id) => {
      // A process may have ended since it was listed.
      const rollup = attempt(() => readFileSync(`/proc/${id}/smaps_rollup`, "utf8"));
      return Number(/^Pss:\s+(\d+) kB/m.exec(rollup ?? "")?.[1] ?? 0) * 1024;
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The browser's process and all below it, the parent first. */
  #processes() {
    const root = this.page.browser().process()?.pid;
    if (!this.#own || root === undefined) throw new Error("this page has no browser of its own");
    const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
    const rows = table.trim().split("\n").map((row) => row.trim().split(/\s+/).map(Number));
    const found = [root];
    for (const parent of found) found.push(...rows.filter(([, above]) => above === parent).map(([id]) => id));
    return found;
  }

  /** @param {string} line */
  #note(line) {
    this.log.push(line);
    for (const { pattern, resolve } of this.#awaited) if (pattern.test(line)) resolve(line);
  }

  /** @param {string} problem */
  #problem(problem) {
    // What a closing page leaves unfinished is no problem of the page.
    const expected = this.#closed || this.#quiet || this.#expected.some((pattern) => pattern.test(problem));
    if (!expected) this.problems.push(problem);
    this.#note(problem);
  }
}

/** What a function returns, null when it throws. @template T @param {() => T} run */
function attempt(run) {
  try {
    return run();
  } catch {
    return null;
  }
}
