/** Seeded randomness, so that a failing run can be run again. */

/** mulberry32. @param {number} seed @returns {() => number} in [0, 1) */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number below `limit`. @param {() => number} random @param {number} limit */
export function below(random, limit) {
  return Math.floor(random() * limit);
}

/** @template T @param {() => number} random @param {readonly T[]} items @returns {T[]} */
export function shuffled(random, items) {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = below(random, last + 1);
    [result[last], result[other]] = [/** @type {T} */ (result[other]), /** @type {T} */ (result[last])];
  }
  return result;
}

/** All orders. @template T @param {readonly T[]} items @returns {T[][]} */
export function permutations(items) {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, at) => permutations(items.filter((_, other) => other !== at)).map((rest) => [item, ...rest]));
}
