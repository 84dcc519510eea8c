// A peer that floods: the page that receives stays small and answers at once (row 52 of the fault plan).

import assert from "node:assert/strict";

import { LONG, KINDS, scenario } from "./harness.js";
import { Person, byId } from "./person.js";

/** @typedef {any} Global */

/** Tiny messages sent; in long runs a gigabyte of them. */
const MESSAGES = LONG ? 60_000_000 : 150_000;
/** Bytes of script memory, and of the whole browser, that the receiving page may take. */
const HEAP = 256 * 1024 * 1024;
/** Milliseconds from a click to the next picture. */
const ANSWER = 100;

for (const kind of KINDS) {
  scenario(`${kind}: ${MESSAGES.toLocaleString("en")} tiny messages as fast as they come; memory is bounded, clicks are answered`, async (stage) => {
    const server = await stage.serve();
    const ann = await Person.at(stage, kind, server.url, { own: true });
    const link = await ann.create();
    const eve = await stage.visit("chromium", server.url);
    await eve.run(async (/** @type {string} */ target) => {
      const { joinRoom } = await import(/** @type {any} */ ("/client/index.js"));
      const { peer } = await joinRoom(target);
      Object.assign(globalThis, { peer });
      if (peer.states.channel !== "open") await new Promise((resolve) => peer.addEventListener("open", resolve));
    }, link);
    await ann.connected();
    await watchClicks(ann);
    const quiet = await clicks(ann, () => false, 10);
    const before = ann.visitor.memory();

    await eve.run((/** @type {number} */ count) => {
      const { peer } = /** @type {Global} */ (globalThis);
      const flood = async () => {
        const pending = [];
        for (let sent = 0; sent < count; sent += 1) {
          pending.push(peer.send(`m ${sent}`));
          if (pending.length === 500) await Promise.all(pending.splice(0));
        }
        await Promise.all(pending);
        await peer.send("the last one");
      };
      void flood();
    }, MESSAGES);

    // The flooding page is too busy to be asked; whether it is over is seen where it arrives.
    let over = false;
    const arrived = ann.visitor
      .until((/** @type {string} */ selector) => [...document.querySelectorAll(selector)].at(-1)?.textContent === "the last one", byId("message-peer"))
      .finally(() => (over = true));
    let [heap, browser] = [0, 0];
    const during = await clicks(ann, async (count) => {
      if (count % 10 !== 0) return !over;
      browser = Math.max(browser, ann.visitor.memory() - before);
      if (kind === "chromium") heap = Math.max(heap, (await ann.page.metrics()).JSHeapUsedSize ?? Infinity);
      return !over;
    });
    await arrived;
    const kept = (await ann.heard()).length;
    const mebibytes = (/** @type {number} */ bytes) => Math.round(bytes / 1024 / 1024);
    console.log(`    ${during.length} clicks: median ${at(during, 0.5)} ms, 90 % within ${at(during, 0.9)} ms, worst ${at(during, 1)} ms (quiet: ${at(quiet, 0.5)}, ${at(quiet, 1)});`
      + ` heap at most ${mebibytes(heap)} MiB, whole browser +${mebibytes(browser)} MiB; ${kept} messages kept`);
    assert.ok(during.length >= 10, `only ${during.length} clicks fell into the flood`);
    assert.ok(heap <= HEAP, `heap: ${mebibytes(heap)} MiB`);
    assert.ok(browser <= HEAP, `browser: +${mebibytes(browser)} MiB`);
    assert.ok(at(during, 0.9) <= ANSWER, `a click took ${at(during, 0.9)} ms`);
    assert.ok(kept <= 500, "the page keeps the newest few hundred");
    await ann.leave();
  }, { limit: LONG ? 7_200_000 : 300_000 });
}

/** Notes, in the page, how long each click takes from the mouse to the next picture. */
async function watchClicks(/** @type {Person} */ person) {
  await person.visitor.run(() => {
    Object.assign(globalThis, { answers: [] });
    addEventListener("click", (event) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => /** @type {Global} */ (globalThis).answers.push(performance.now() - event.timeStamp);
      // The frame callback runs before the picture is made, the message after it.
      requestAnimationFrame(() => port2.postMessage(null));
    }, true);
  });
}

/**
 * Clicks the log button, one click after the other, as long as `goOn` says, and at least `least` times. Milliseconds, sorted.
 * @param {Person} person @param {(count: number) => boolean | Promise<boolean>} goOn @param {number} [least]
 */
async function clicks(person, goOn, least = 0) {
  await person.visitor.run(() => /** @type {Global} */ (globalThis).answers.splice(0));
  const { x, y } = /** @type {any} */ (await (await person.page.$(byId("log")))?.clickablePoint());
  let count = 0;
  // A click is over when the page has handled it; the picture follows by itself.
  for (; (await goOn(count)) || count < least; count += 1) await person.page.mouse.click(x, y);
  await person.visitor.until((/** @type {number} */ wanted) => /** @type {Global} */ (globalThis).answers.length >= wanted, count);
  const answers = await person.visitor.run(() => /** @type {Global} */ (globalThis).answers);
  return answers.sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
}

/** The value below which this part of the sorted values lies. */
function at(/** @type {number[]} */ sorted, /** @type {number} */ part) {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? NaN);
}
