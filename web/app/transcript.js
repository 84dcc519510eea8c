/**
 * The list of what was said. It stays quick whatever the other side sends: entries are drawn in batches, once a frame; only the
 * newest few hundred are kept; long text is folded.
 */
import { batched, bytes, clock, el, icon, setText } from "./dom.js";
import { safeFileName } from "./filename.js";

/** @typedef {"own" | "peer"} Side */
/** @typedef {import("./phase.js").Tone} Tone */
/**
 * @typedef {{ at: Date, doubtful?: boolean } & ({ kind: "text", side: Side, text: string }
 *   | { kind: "file", side: Side, name: string, size: number, blob: Blob }
 *   | { kind: "system", text: string, tone: Tone }
 *   | { kind: "section", text: string })} Entry
 */

/** Entries kept, in the page and waiting to be drawn. */
const KEPT = 500;
/** Files kept although text around them is let go; each can still be saved. */
const FILES_KEPT = 100;
/** Entries drawn in one frame: a few milliseconds of work. */
const A_FRAME = 60;
/** Milliseconds between frames drawn while more is waiting than that: most of it will never be read, and input comes first. */
const FLOOD_PAUSE = 150;
/** Characters kept of all messages together, and shown of one before it is folded; past `WHOLE` the rest can only be saved. */
const CHARACTERS_KEPT = 8_000_000;
const FOLDED = 800;
const FOLDED_LINES = 16;
const WHOLE = 64_000;
/** Milliseconds before trouble shows in which a message may have been lost: what the client takes to notice silence, and some. */
const DOUBTFUL = 6_000;
/** Pixels from the end that still count as being there. */
const NEAR = 40;

export class Transcript {
  /** @type {Entry[]} waiting for the next frame */
  #queue = [];
  /** @type {{ element: HTMLElement, entry: Entry, weight: number, release: () => void }[]} in the page, oldest first */
  #drawn = [];
  #weight = 0;
  #letGo = 0;
  #unseen = 0;
  #atEnd = true;
  #top = 0;
  #flooded = false;
  /** Own messages from then on may not have arrived. */
  #doubtSince = Infinity;
  /** @type {HTMLElement[]} what says so, in the page */
  #marks = [];
  #schedule = batched(() => this.#draw());
  #log = el("div", { class: "log", role: "log", tabindex: 0, "aria-label": "Messages", test: "chat-log", scroll: () => this.#scrolled() });
  #gone = el("p", { class: "gone", test: "let-go", hidden: true });
  #newer = el("button", { class: "newer", type: "button", test: "new-messages", hidden: true, click: () => this.toEnd() }, icon("down"), el("span"));

  constructor() {
    this.#log.append(this.#gone);
    this.element = el("div", { class: "transcript" }, this.#log, this.#newer);
    // The space shrinks when a keyboard opens or the input grows: whoever was at the end stays there.
    new ResizeObserver(() => { if (this.#atEnd) this.toEnd(); }).observe(this.#log);
  }

  /** Anything in it yet. */
  get empty() {
    return this.#drawn.length + this.#queue.length === 0;
  }

  /**
   * @param {Side} side
   * @param {string} text
   */
  text(side, text) {
    this.#push({ kind: "text", side, text, at: new Date() });
  }

  /**
   * @param {Side} side
   * @param {string} name
   * @param {Blob} blob
   */
  file(side, name, blob) {
    this.#push({ kind: "file", side, name: safeFileName(name), size: blob.size, blob, at: new Date() });
  }

  /**
   * @param {string} text
   * @param {Tone} [tone]
   */
  system(text, tone = "idle") {
    this.#push({ kind: "system", text, tone, at: new Date() });
  }

  /** @param {string} text */
  section(text) {
    this.#push({ kind: "section", text, at: new Date() });
  }

  /** Nothing is heard any more: own messages of the last seconds, and those to come, are marked until it is settled. */
  doubt() {
    if (this.#doubtSince < Infinity) return;
    this.#doubtSince = Date.now() - DOUBTFUL;
    for (const drawn of this.#drawn) if (this.#doubtful(drawn.entry)) this.#mark(drawn.element);
    for (const entry of this.#queue) this.#doubtful(entry);
  }

  /** @param {boolean} arrived the channel is reliable: once it works again, everything arrives; else the marks stay */
  settle(arrived) {
    this.#doubtSince = Infinity;
    const marks = this.#marks.splice(0);
    if (!arrived) return;
    for (const mark of marks) mark.remove();
    for (const entry of this.#queue) entry.doubtful = false;
  }

  /** @param {Entry} entry */
  #doubtful(entry) {
    return (entry.doubtful = "side" in entry && entry.side === "own" && entry.at.getTime() >= this.#doubtSince);
  }

  /** @param {HTMLElement} message */
  #mark(message) {
    const mark = el("p", { class: "unconfirmed", test: "not-confirmed" }, "Not confirmed");
    this.#marks.push(mark);
    message.querySelector(".bubble")?.append(mark);
  }

  /** Lets go of the files in it, which can then no longer be saved. */
  release() {
    for (const { release } of this.#drawn) release();
  }

  toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#top = this.#log.scrollTop;
    this.#atEnd = true;
    this.#seen();
  }

  focus() {
    this.#log.focus();
  }

  /** @param {Entry} entry */
  #push(entry) {
    this.#doubtful(entry);
    this.#queue.push(entry);
    if (this.#queue.length > 2 * KEPT) this.#thinQueue();
    if (!this.#flooded) this.#schedule();
  }

  /** More is waiting than would be kept: lets the oldest messages go before they are drawn. */
  #thinQueue() {
    const cut = this.#queue.length - KEPT;
    const rest = this.#queue.filter((entry, index) => index >= cut || entry.kind !== "text");
    this.#letGo += this.#queue.length - rest.length;
    this.#queue = rest;
  }

  #draw() {
    const batch = this.#queue.splice(0, A_FRAME);
    this.#flooded = this.#queue.length > A_FRAME;
    // A flood must not be read aloud line by line.
    this.#log.setAttribute("aria-busy", String(this.#flooded));
    const page = document.createDocumentFragment();
    for (const entry of batch) {
      const drawn = draw(entry);
      if (isContinued(this.#drawn.at(-1)?.entry, entry)) drawn.element.querySelector("time")?.remove();
      this.#drawn.push(drawn);
      this.#weight += drawn.weight;
      page.append(drawn.element);
      if (entry.doubtful) this.#mark(drawn.element);
      if (!this.#atEnd && entry.kind !== "section") this.#unseen += 1;
    }
    this.#log.append(page);
    this.#trim();
    this.#gone.hidden = this.#letGo === 0;
    if (this.#letGo) setText(this.#gone, `${this.#letGo.toLocaleString()} older messages are no longer kept on this page.`);
    if (batch.some((entry) => entry.kind === "text" && entry.side === "own")) this.#atEnd = true;
    if (this.#atEnd) this.toEnd();
    this.#seen();
    if (this.#flooded) setTimeout(this.#schedule, FLOOD_PAUSE);
    else if (this.#queue.length) this.#schedule();
  }

  #trim() {
    let excess = this.#drawn.length - KEPT;
    if (excess <= 0 && this.#weight <= CHARACTERS_KEPT) return;
    let files = this.#drawn.reduce((count, { entry }) => count + Number(entry.kind === "file"), 0);
    this.#drawn = this.#drawn.filter((drawn) => {
      const isFile = drawn.entry.kind === "file";
      if ((excess <= 0 && this.#weight <= CHARACTERS_KEPT) || (isFile && files <= FILES_KEPT)) return true;
      drawn.element.remove();
      drawn.release();
      this.#weight -= drawn.weight;
      this.#letGo += 1;
      excess -= 1;
      files -= Number(isFile);
      return false;
    });
  }

  /** Only a reader scrolling up leaves the end: a list that grows or a window that shrinks fires scroll events, too. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.#atEnd = true;
    else if (scrollTop < this.#top) this.#atEnd = false;
    this.#top = scrollTop;
    if (this.#atEnd) this.#seen();
  }

  #seen() {
    if (this.#atEnd) this.#unseen = 0;
    this.#newer.hidden = this.#unseen === 0;
    if (this.#unseen) setText(/** @type {Element} */ (this.#newer.lastElementChild), `${this.#unseen > KEPT ? `${KEPT}+` : this.#unseen} new`);
  }
}

/** By the same side in the same minute: the time stands once. @param {Entry | undefined} before @param {Entry} entry */
function isContinued(before, entry) {
  return before && ("side" in before && before.side) === ("side" in entry && entry.side) && clock(before.at) === clock(entry.at);
}

/** @param {Entry} entry */
function draw(entry) {
  switch (entry.kind) {
    case "text": return drawText(entry);
    case "file": return drawFile(entry);
    case "section": return drawn(entry, el("p", { class: "section", test: "section" }, el("span", {}, `${entry.text} · ${clock(entry.at)}`)));
    case "system": return drawn(entry, el("p", { class: "system", "data-tone": entry.tone, test: "system-line" },
      el("span", {}, entry.text), " ", time(entry)));
  }
}

/**
 * @param {Entry} entry
 * @param {HTMLElement} element
 */
function drawn(entry, element, weight = 0, release = () => {}) {
  return { entry, element, weight, release };
}

/** @param {Extract<Entry, { kind: "text" }>} entry */
function drawText(entry) {
  const { side, text } = entry;
  // A slice would keep the whole string alive; what comes out of a decoder is a string of its own.
  entry.text = text.length > WHOLE ? new TextDecoder().decode(new TextEncoder().encode(text.slice(0, WHOLE))) : text;
  const whole = entry.text;
  const short = folded(whole);
  const body = el("p", { class: "text", dir: "auto", test: `message-${side}` }, short);
  const bubble = el("div", { class: "bubble" }, body);
  if (short.length < whole.length) {
    const unfold = el("button", {
      class: "quiet", type: "button", test: "unfold", "aria-expanded": "false",
      click: () => {
        const open = unfold.getAttribute("aria-expanded") === "false";
        unfold.setAttribute("aria-expanded", String(open));
        body.textContent = open ? whole : short;
        unfold.textContent = open ? "Show less" : label;
      },
    });
    const label = `Show ${whole.length < text.length ? `the first ${WHOLE.toLocaleString()} of` : "all"} ${text.length.toLocaleString()} characters`;
    unfold.textContent = label;
    bubble.append(unfold);
  }
  let release = () => {};
  if (whole.length < text.length) {
    const save = saveLink(new Blob([text]), "message.txt", "Save the whole text");
    release = save.release;
    bubble.append(save.element);
  }
  return drawn(entry, line(entry, bubble), text.length, release);
}

/** @param {Extract<Entry, { kind: "file" }>} entry */
function drawFile(entry) {
  const { side, name, size, blob } = entry;
  const save = side === "peer" ? saveLink(blob, name, "Save") : null;
  const bubble = el("div", { class: "bubble file", test: `file-${side}` }, icon("file"),
    el("div", { class: "what" }, el("bdi", { class: "file-name", test: "file-name" }, name), el("span", { class: "size" }, bytes(size))),
    save?.element);
  return drawn(entry, line(entry, bubble), 0, save?.release);
}

/**
 * Never opened inline: the type says nothing, and the link only downloads.
 * @param {Blob} blob
 * @param {string} name
 * @param {string} words
 */
function saveLink(blob, name, words) {
  const href = URL.createObjectURL(blob.slice(0, blob.size, "application/octet-stream"));
  const element = el("a", { class: "save", href, download: name, test: "file-save" }, icon("save"), words, el("span", { class: "unseen" }, ` ${name}`));
  return { element, release: () => URL.revokeObjectURL(href) };
}

/**
 * @param {Extract<Entry, { side: Side }>} entry
 * @param {HTMLElement} bubble
 */
function line(entry, bubble) {
  return el("div", { class: `message ${entry.side}` },
    el("span", { class: "unseen" }, entry.side === "own" ? "You:" : "Other side:"), bubble, time(entry));
}

/** @param {Entry} entry */
function time({ at }) {
  return el("time", { datetime: at.toISOString() }, clock(at));
}

/** @param {string} text */
function folded(text) {
  let end = Math.min(text.length, FOLDED);
  let line = -1;
  for (let lines = 0; lines < FOLDED_LINES; lines += 1) {
    line = text.indexOf("\n", line + 1);
    if (line < 0 || line >= end) break;
    if (lines === FOLDED_LINES - 1) end = line;
  }
  // What would be hidden must be worth a button.
  return text.length - end < 200 && end > FOLDED / 2 ? text : text.slice(0, end);
}
