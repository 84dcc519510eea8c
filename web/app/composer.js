/**
 * Where one writes, and above it what is on its way: the outbox, with what did not get through, and the file that is coming in. A text
 * moves to the transcript only after the library has accepted it. The draft belongs to the person at the keyboard: nothing that arrives
 * touches it, and it goes with the tab only.
 */
import { batched, bytes, el, icon, setText } from "./dom.js";
import { safeFileName } from "./filename.js";
import { keepDraft, keptDraft } from "./memory.js";
import { problemOf } from "./problem.js";

/** @typedef {import("../client/types.d.ts").Peer} Peer */
/** @typedef {import("../client/types.d.ts").Incoming} Incoming */
/** @typedef {string | File} Cargo */

export class Composer {
  /** @type {Peer | null} to whom things go now */
  #peer = null;
  /** Files go one after the other, so that the first is not held up by the last. */
  #files = Promise.resolve();
  /** @type {(cargo: Cargo) => void} */
  #onSent;
  /** @type {Set<() => void>} what to say anew when the peer changes */
  #rows = new Set();
  #outbox = el("ul", { class: "outbox", "aria-label": "Not sent yet", test: "outbox", hidden: true });
  #input = el("textarea", {
    id: "chat-input", test: "chat-input", rows: 1, "aria-label": "Message", placeholder: "Message", autocomplete: "off", enterkeyhint: "send", dir: "auto",
    input: () => this.#grow(),
    keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    paste: (/** @type {ClipboardEvent} */ event) => {
      if (this.#takeFiles(event.clipboardData)) event.preventDefault();
    },
  });
  #picker = el("input", {
    type: "file", multiple: true, hidden: true, test: "chat-file", "aria-label": "Files to send",
    change: () => {
      for (const file of this.#picker.files ?? []) this.#dispatch(file);
      this.#picker.value = "";
    },
  });
  #form = el("form", {
    class: "composer", hidden: true, "aria-label": "Write a message",
    submit: (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      this.#sendDraft();
    },
  },
  el("button", { class: "round", type: "button", test: "chat-attach", title: "Send a file", "aria-label": "Send a file", click: () => this.#picker.click() }, icon("attach")),
  this.#picker,
  this.#input,
  el("button", { class: "round primary", type: "submit", test: "chat-send", title: "Send", "aria-label": "Send" }, icon("send")));

  /** @type {Incoming | null} */
  #coming = null;
  #comingName = el("bdi", { class: "cargo", test: "incoming-name" });
  #comingBar = el("progress", { max: 1 });
  #comingState = el("span", { class: "row-state" });
  #comingRow = el("div", { class: "parcel coming", test: "incoming", role: "group", "aria-label": "Coming in", hidden: true },
    this.#comingName, this.#comingBar, this.#comingState);
  #drawComing = batched(() => {
    const coming = this.#coming;
    this.#comingRow.hidden = !coming;
    if (!coming) return;
    const { name, size, received } = coming;
    setText(this.#comingName, safeFileName(name));
    this.#comingBar.setAttribute("aria-label", `Receiving ${safeFileName(name)}`);
    this.#comingBar.value = size ? received / size : 1;
    setText(this.#comingState, `Receiving ${bytes(received)} of ${bytes(size)}`);
  });

  /** @param {{ onSent: (cargo: Cargo) => void }} options called once what was sent is accepted */
  constructor({ onSent }) {
    this.#onSent = onSent;
    this.#input.value = keptDraft();
    this.element = el("div", { class: "writing" }, this.#comingRow, this.#outbox, this.#form);
  }

  /** What is coming in, or null. @param {Incoming | null} coming */
  set coming(coming) {
    this.#coming = coming;
    this.#drawComing();
  }

  /**
   * Whom to write to; null hides the input and keeps the draft.
   * @param {Peer | null} peer whose channel is open
   */
  set peer(peer) {
    if (peer === this.#peer) return;
    this.#peer = peer;
    this.#form.hidden = !peer;
    for (const say of this.#rows) say();
    if (peer) this.#grow();
  }

  get open() {
    return this.#peer !== null;
  }

  get focused() {
    return this.#form.contains(document.activeElement);
  }

  focus() {
    this.#input.focus();
  }

  /**
   * Drag and drop over the whole view, so that a file let go beside the input does not make the browser leave the page.
   * @param {HTMLElement} area
   */
  acceptDrops(area) {
    /** @param {DragEvent} event */
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;
    area.addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      area.classList.toggle("dropping", this.open);
    });
    area.addEventListener("dragleave", (event) => {
      if (!area.contains(/** @type {Node | null} */ (event.relatedTarget))) area.classList.remove("dropping");
    });
    area.addEventListener("drop", (event) => {
      area.classList.remove("dropping");
      if (!carriesFiles(event)) return;
      event.preventDefault();
      if (this.open) this.#takeFiles(event.dataTransfer);
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // While an input method composes, Enter accepts its proposal.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#sendDraft();
  }

  #sendDraft() {
    const text = this.#input.value;
    if (!this.#peer || !text.trim()) return;
    this.#input.value = "";
    this.#grow();
    this.#dispatch(text);
    this.#input.focus();
  }

  /** @param {DataTransfer | null} transfer */
  #takeFiles(transfer) {
    const files = [...(transfer?.files ?? [])];
    for (const file of files) this.#dispatch(file);
    return files.length > 0;
  }

  /**
   * Sends to the peer of now, with a row in the outbox until it is accepted.
   * @param {Cargo} cargo
   */
  #dispatch(cargo) {
    const peer = this.#peer;
    if (!peer) return;
    const row = this.#row(cargo, peer);
    const send = async () => {
      try {
        if (row.abort.signal.aborted) return row.done();
        await peer.send(cargo, { signal: row.abort.signal, onProgress: row.progress });
        row.done();
        this.#onSent(cargo);
      } catch (error) {
        if (row.abort.signal.aborted) row.done();
        else row.failed(problemOf(error).text);
      }
    };
    if (typeof cargo === "string") void send();
    else this.#files = this.#files.then(send);
  }

  /**
   * @param {Cargo} cargo
   * @param {Peer} peer
   */
  #row(cargo, peer) {
    const abort = new AbortController();
    const isText = typeof cargo === "string";
    const what = el("bdi", { class: "cargo" }, isText ? cargo.slice(0, 200) : cargo.name);
    const state = el("span", { class: "row-state" }, isText ? "Sending…" : `Sending 0 of ${bytes(cargo.size)}`);
    const bar = isText ? null : el("progress", { max: 1, value: 0, "aria-label": `Sending ${cargo.name}` });
    const again = el("button", { type: "button", hidden: true, test: "retry" });
    const cancel = el("button", { class: "quiet", type: "button", test: "cancel-send", hidden: isText }, "Cancel");
    const element = el("li", { class: "parcel", test: "outbox-item", "data-state": "sending" }, what, bar, state, el("span", { class: "row" }, again, cancel));
    // After the other side has changed, what was meant for one person is not sent to another by a stray click.
    const say = () => {
      const same = this.#peer === peer;
      again.textContent = same || !isText ? "Try again" : "Put back into the draft";
      again.hidden = element.dataset.state !== "failed" || !(same || isText);
    };
    const done = () => {
      element.remove();
      this.#rows.delete(say);
      this.#outbox.hidden = this.#outbox.childElementCount === 0;
    };
    cancel.addEventListener("click", () => {
      abort.abort();
      if (element.dataset.state === "failed") this.#dismiss(done);
    });
    again.addEventListener("click", () => {
      this.#dismiss(done);
      if (this.#peer === peer) this.#dispatch(cargo);
      else if (isText) this.#restore(cargo);
    });
    this.#rows.add(say);
    this.#outbox.append(element);
    this.#outbox.hidden = false;
    return {
      abort,
      done,
      /** @param {string} why */
      failed: (why) => {
        element.dataset.state = "failed";
        element.dataset.testid = "message-failed";
        bar?.remove();
        state.textContent = `Not sent. ${why}`;
        state.setAttribute("role", "alert");
        cancel.hidden = false;
        cancel.textContent = "Discard";
        say();
      },
      /** @param {number} sent @param {number} total */
      progress: (sent, total) => {
        if (bar) bar.value = total ? sent / total : 1;
        if (!isText) setText(state, `Sending ${bytes(sent)} of ${bytes(total)}`);
      },
    };
  }

  /**
   * The button pressed goes away with its row: focus goes to the input.
   * @param {() => void} done
   */
  #dismiss(done) {
    done();
    if (this.open) this.#input.focus();
  }

  /** @param {string} text */
  #restore(text) {
    this.#input.value = this.#input.value ? `${text}\n${this.#input.value}` : text;
    this.#grow();
  }

  /** Kept, and as tall as its text, up to what the style allows. */
  #grow() {
    keepDraft(this.#input.value);
    const { style } = this.#input;
    style.height = "auto";
    style.height = `${this.#input.scrollHeight + 2}px`;
  }
}
