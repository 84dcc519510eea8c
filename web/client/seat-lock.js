/**
 * One seat, one page. A tab that is duplicated has the token of the one it was made from; with it, it would put that one out of its room.
 *
 * So the page that sits somewhere holds a lock named after its token (Web Locks API), and who finds it held leaves that token alone. The
 * browser frees the lock with the page, however that ends. Where there are no locks (insecure contexts) there is no such guard.
 * @module
 */
//# allFunctionsCalledOnLoad

/** A page that is being reloaded may hold its lock a moment longer than it lives, ms. */
const PATIENCE = 500;

/** At most one seat of this page. */
export class SeatLock {
  #token = "";
  #release = () => {};
  #closed = false;

  /** Holds the seat of this token, instead of another. False when another page does. @param {string} token @returns {Promise<boolean>} */
  async take(token) {
    const locks = globalThis.navigator?.locks;
    if (!locks || token === this.#token) return true;
    const waited = new AbortController();
    const timer = setTimeout(() => waited.abort(), PATIENCE);
    return new Promise((resolve) => {
      const held = () => {
        clearTimeout(timer);
        this.#release();
        this.#token = token;
        resolve(true);
        return new Promise((release) => {
          this.#release = () => release(null);
          if (this.#closed) this.#release();
        });
      };
      locks.request(`crowfly-seat:${token}`, { signal: waited.signal }, held).catch(() => resolve(false));
    });
  }

  /** For good. */
  close() {
    this.#closed = true;
    this.#release();
  }
}
