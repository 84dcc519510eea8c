/**
 * Web Locks as far as they are used here: exclusive, waiting in line, given up by a signal.
 */

/** Puts them at globalThis.navigator until the test is over. @param {import("node:test").TestContext} test */
export function fakeLocks(test) {
  /** Who holds a lock, and who waits for it. @type {Map<string, Promise<unknown>>} */
  const last = new Map();
  const locks = {
    /** @param {string} name @param {{ signal: AbortSignal }} options @param {() => Promise<unknown>} held */
    async request(name, { signal }, held) {
      const before = last.get(name);
      let over = () => {};
      last.set(name, new Promise((resolve) => (over = () => resolve(null))));
      const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      try {
        await Promise.race([before, aborted]);
        return await held();
      } finally {
        void Promise.resolve(before).then(over);
      }
    },
  };
  const saved = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  test.after(() => {
    if (saved) Object.defineProperty(globalThis, "navigator", saved);
    else delete (/** @type {any} */ (globalThis).navigator);
  });
}
