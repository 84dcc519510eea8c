/**
 * A person at the page: what one does there, and what one sees. Finds things as the page offers them, by test id.
 * @module
 */

/** @typedef {import("./browsers.js").Visitor} Visitor */
/** @typedef {import("./browsers.js").Kind} Kind */
/** @typedef {import("./browsers.js").PageOptions} PageOptions */

/** @param {string} id */
export const byId = (id) => `[data-testid="${id}"]`;

export class Person {
  /** @param {Visitor} visitor */
  constructor(visitor) {
    this.visitor = visitor;
    this.page = visitor.page;
  }

  /**
   * Opens the start page.
   * @param {any} stage @param {Kind} kind @param {string} url the server's, or a room's link
   * @param {PageOptions} [options]
   */
  static async at(stage, kind, url, options) {
    return new Person(await stage.visit(kind, url, options));
  }

  /** Makes a room and returns its link. @param {string} [name] */
  async create(name) {
    if (name !== undefined) await this.fill("start-name", name);
    await this.click("start-create");
    return this.link();
  }

  /** The link shown while waiting. */
  async link() {
    await this.sees("room-link");
    return this.text("room-link");
  }

  /** Joins from the start page. @param {string} linkOrName */
  async join(linkOrName) {
    await this.fill("join-input", linkOrName);
    await this.click("join-button");
  }

  /** Until the page says that both are connected and offers the input. */
  async connected() {
    await this.phase("connected");
    await this.sees("chat-input");
  }

  /** Until the page shows this phase of the connection. @param {string} phase */
  async phase(phase) {
    await this.visitor.until(
      (/** @type {string} */ selector, /** @type {string} */ wanted) => {
        const element = document.querySelector(selector);
        return element instanceof HTMLElement && element.dataset.phase === wanted;
      },
      byId("peer-state"),
      phase,
    );
  }

  /** Types a message, key by key, and presses Enter. @param {string} text */
  async say(text) {
    await this.page.focus(byId("chat-input"));
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
  }

  /** Sends many messages as fast as the page takes them. @param {string[]} texts */
  async sayAll(texts) {
    await this.visitor.run(
      (/** @type {string} */ selector, /** @type {string[]} */ all) => {
        const input = /** @type {HTMLTextAreaElement} */ (document.querySelector(selector));
        for (const text of all) {
          input.value = text;
          input.dispatchEvent(new InputEvent("input", { bubbles: true }));
          input.form?.requestSubmit();
        }
      },
      byId("chat-input"),
      texts,
    );
  }

  /** Everything heard from the other side, in order. @returns {Promise<string[]>} */
  heard() {
    return this.texts("message-peer");
  }

  /** Everything said here, in order. */
  said() {
    return this.texts("message-own");
  }

  /** Until this many messages of the other side are shown. @param {number} count */
  async hears(count) {
    await this.visitor.until(
      (/** @type {string} */ selector, /** @type {number} */ wanted) => document.querySelectorAll(selector).length >= wanted,
      byId("message-peer"),
      count,
    );
  }

  /** Until the page tells this in a line of its own. @param {RegExp} pattern */
  async isTold(pattern) {
    await this.visitor.until(
      (/** @type {string} */ selector, /** @type {string} */ source) =>
        [...document.querySelectorAll(selector)].some((line) => new RegExp(source, "i").test(line.textContent ?? "")),
      byId("system-line"),
      pattern.source,
    );
  }

  async leave() {
    await this.click("leave");
    await this.sees("start-create");
  }

  // The small things

  /** @param {string} id */
  async click(id) {
    await this.page.locator(byId(id)).click();
  }

  /** @param {string} id @param {string} text */
  async fill(id, text) {
    await this.page.locator(byId(id)).fill(text);
  }

  /** Until it is visible. @param {string} id */
  async sees(id) {
    await this.page.waitForSelector(byId(id), { visible: true });
  }

  /** Until it is not visible, or gone. @param {string} id */
  async seesNo(id) {
    await this.page.waitForSelector(byId(id), { hidden: true });
  }

  /** Whether it is visible now. @param {string} id */
  async isShown(id) {
    return this.visitor.run((/** @type {string} */ selector) => {
      const element = document.querySelector(selector);
      return element !== null && element.checkVisibility();
    }, byId(id));
  }

  /** @param {string} id @returns {Promise<string>} */
  async text(id) {
    return this.page.$eval(byId(id), (element) => element.textContent ?? "");
  }

  /** @param {string} id @returns {Promise<string[]>} */
  async texts(id) {
    return this.page.$$eval(byId(id), (elements) => elements.map((element) => element.textContent ?? ""));
  }

  /** As if another tab were in front, or this one again. @param {boolean} hidden */
  async hide(hidden) {
    await this.visitor.run((/** @type {boolean} */ now) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => now });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  }

  /** Picks a file of zeros. @param {string} name @param {number} size bytes */
  async hand(name, size) {
    await this.page.$eval(byId("chat-file"), (input, fileName, bytes) => {
      const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(bytes)], fileName));
      /** @type {HTMLInputElement} */ (input).files = files.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }, name, size);
  }

  /** The trace as the page would save it: header and records. @returns {Promise<any[]>} */
  async trace() {
    if (!(await this.isShown("log-panel"))) await this.click("log");
    await this.sees("log-panel");
    // The download is a blob of the page; its address is read before the browser saves it.
    const lines = await this.visitor.run((/** @type {string} */ selector) => {
      const button = /** @type {HTMLButtonElement} */ (document.querySelector(selector));
      return new Promise((resolve) => {
        const create = URL.createObjectURL;
        const click = HTMLAnchorElement.prototype.click;
        HTMLAnchorElement.prototype.click = () => {};
        URL.createObjectURL = (blob) => {
          /** @type {Blob} */ (blob).text().then(resolve);
          return create.call(URL, blob);
        };
        button.click();
        URL.createObjectURL = create;
        HTMLAnchorElement.prototype.click = click;
      });
    }, byId("trace-download"));
    return String(lines).trimEnd().split("\n").map((line) => JSON.parse(line));
  }
}

/** `count` different messages. @param {string} who @param {number} count */
export function messages(who, count) {
  return Array.from({ length: count }, (_, index) => `${who} ${index + 1}`);
}

/** Runs in a page before its scripts: of every file only the first MiB is read, until the page says `goOn()`, or `fail()`. */
export function halfway() {
  const { arrayBuffer } = Blob.prototype;
  /** @type {Promise<void>} */
  const released = new Promise((goOn, fail) => Object.assign(globalThis, { goOn, fail }));
  let blocks = 0;
  Blob.prototype.arrayBuffer = async function () {
    blocks += 1;
    if (blocks > 1) await released;
    return arrayBuffer.call(this);
  };
}

/** A connected pair at a server of its own. */
export async function pair(/** @type {any} */ stage, /** @type {Kind} */ first, /** @type {Kind} */ second, /** @type {any} */ options = {}) {
  const server = await stage.serve();
  const ann = await Person.at(stage, first, server.url, options);
  const link = await ann.create();
  const ben = await Person.at(stage, second, link, options);
  await Promise.all([ann.connected(), ben.connected()]);
  return { server, ann, ben, link };
}
