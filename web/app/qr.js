/**
 * QR codes (ISO/IEC 18004) of links: bytes, error correction level M, versions 1 to 10. Pure. Loaded when somebody asks for one.
 */

/** By version: all codewords, those of error correction a block, blocks. @type {readonly (readonly [number, number, number])[]} */
const SIZES = [
  [26, 10, 1], [44, 16, 1], [70, 26, 1], [100, 18, 2], [134, 24, 2], [172, 16, 4], [196, 18, 4], [242, 22, 4], [292, 22, 5], [346, 26, 5],
];
/** Where alignment patterns are centred, on both axes. @type {readonly (readonly number[])[]} */
const ALIGNED = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

/** Which modules each mask turns over. @type {readonly ((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/**
 * The modules of a code, row by row, true for dark; null for a text of more than 213 bytes.
 * @param {string} text
 * @returns {boolean[][] | null}
 */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = SIZES.findIndex((_, index) => bytes.length <= roomIn(index + 1)) + 1;
  if (version === 0) return null;
  const grid = new Grid(version);
  grid.place(interleaved(codewords(bytes, version), version));
  const masked = MASKS.map((_, mask) => grid.masked(mask));
  const penalties = masked.map(penalty);
  return /** @type {boolean[][]} */ (masked[penalties.indexOf(Math.min(...penalties))]);
}

/** @param {number} version @returns {readonly [number, number, number]} */
function sizes(version) {
  return /** @type {readonly [number, number, number]} */ (SIZES[version - 1]);
}

/** @param {number} version */
function dataIn(version) {
  const [all, correction, blocks] = sizes(version);
  return all - correction * blocks;
}

/** Bytes of text. @param {number} version */
function roomIn(version) {
  return dataIn(version) - (version < 10 ? 2 : 3);
}

/** Mode, length, bytes, end and padding. @param {Uint8Array} bytes @param {number} version */
function codewords(bytes, version) {
  const bits = [0, 1, 0, 0];
  /** @param {number} value @param {number} count */
  const append = (value, count) => { for (let bit = count - 1; bit >= 0; bit--) bits.push((value >> bit) & 1); };
  append(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) append(byte, 8);
  append(0, 4);
  const words = [];
  for (let at = 0; at < bits.length; at += 8) words.push(bits.slice(at, at + 8).reduce((word, bit) => word * 2 + bit, 0));
  for (let pad = 0xec; words.length < dataIn(version); pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

/** Blocks with their error correction, a codeword of each in turn. @param {number[]} words @param {number} version */
function interleaved(words, version) {
  const [, correction, count] = sizes(version);
  const short = Math.floor(words.length / count);
  const longer = words.length % count;
  const blocks = Array.from({ length: count }, (_, index) => {
    const start = index * short + Math.max(0, index - (count - longer));
    return words.slice(start, start + short + (index >= count - longer ? 1 : 0));
  });
  const corrections = blocks.map((block) => remainder(block, correction));
  /** @param {number[][]} lists */
  const inTurn = (lists) => Array.from({ length: Math.max(...lists.map(({ length }) => length)) }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat();
  return [...inTurn(blocks), ...inTurn(corrections)];
}

/** Reed–Solomon over GF(2⁸) with the polynomial 0x11d. @param {number[]} block @param {number} degree */
function remainder(block, degree) {
  const divisor = [...Array(degree - 1).fill(0), 1];
  for (let step = 0, root = 1; step < degree; step++, root = times(root, 2)) {
    for (let at = 0; at < degree; at++) divisor[at] = times(divisor[at], root) ^ (divisor[at + 1] ?? 0);
  }
  const rest = Array(degree).fill(0);
  for (const word of block) {
    const factor = word ^ rest.shift();
    rest.push(0);
    divisor.forEach((coefficient, at) => (rest[at] ^= times(coefficient, factor)));
  }
  return rest;
}

/** @param {number} one @param {number} other */
function times(one, other) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((other >> bit) & 1) * one);
  return product;
}

/** Bits protected by others: those of the format and of the version. @param {number} data @param {number} generator @param {number} count */
function protectedBits(data, generator, count) {
  let rest = data;
  for (let step = 0; step < count; step++) rest = (rest << 1) ^ ((rest >> (count - 1)) * generator);
  return (data << count) | rest;
}

/** The modules while they are set. */
class Grid {
  #version;
  #size;
  /** @type {boolean[][]} */ #dark;
  /** @type {boolean[][]} of patterns, which no mask turns over */ #fixed;

  /** @param {number} version */
  constructor(version) {
    this.#version = version;
    this.#size = version * 4 + 17;
    const none = () => Array.from({ length: this.#size }, () => Array(this.#size).fill(false));
    this.#dark = none();
    this.#fixed = none();
    this.#patterns();
  }

  /** Data, upwards and downwards in columns of two, from the right. @param {number[]} words */
  place(words) {
    let at = 0;
    for (let right = this.#size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.#size; step++) {
        const upward = ((right + 1) & 2) === 0;
        const y = upward ? this.#size - 1 - step : step;
        for (const x of [right, right - 1]) {
          if (this.#fixed[y]?.[x]) continue;
          this.#row(y)[x] = (((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1;
          at += 1;
        }
      }
    }
  }

  /** A copy with a mask over it. @param {number} mask */
  masked(mask) {
    this.#format(mask);
    const turns = /** @type {(x: number, y: number) => boolean} */ (MASKS[mask]);
    return this.#dark.map((row, y) => row.map((dark, x) => (this.#fixed[y]?.[x] ? dark : dark !== turns(x, y))));
  }

  #patterns() {
    const last = this.#size - 1;
    for (let at = 0; at <= last; at++) {
      this.#set(6, at, at % 2 === 0);
      this.#set(at, 6, at % 2 === 0);
    }
    for (const [x, y] of /** @type {const} */ ([[3, 3], [last - 3, 3], [3, last - 3]])) this.#square(x, y, 4, (distance) => distance !== 2 && distance !== 4);
    const centres = ALIGNED[this.#version - 1] ?? [];
    for (const x of centres) {
      for (const y of centres) {
        const corner = (x === 6 && (y === 6 || y === last - 6)) || (x === last - 6 && y === 6);
        if (!corner) this.#square(x, y, 2, (distance) => distance !== 1);
      }
    }
    this.#format(0);
    if (this.#version < 7) return;
    const bits = protectedBits(this.#version, 0x1f25, 12);
    for (let bit = 0; bit < 18; bit++) {
      const [far, near] = [this.#size - 11 + (bit % 3), Math.floor(bit / 3)];
      this.#set(far, near, ((bits >> bit) & 1) === 1);
      this.#set(near, far, ((bits >> bit) & 1) === 1);
    }
  }

  /** Level M is 00. @param {number} mask */
  #format(mask) {
    const bits = protectedBits(mask, 0x537, 10) ^ 0x5412;
    const bit = (/** @type {number} */ at) => ((bits >> at) & 1) === 1;
    for (let at = 0; at < 6; at++) this.#set(8, at, bit(at));
    this.#set(8, 7, bit(6));
    this.#set(8, 8, bit(7));
    this.#set(7, 8, bit(8));
    for (let at = 9; at < 15; at++) this.#set(14 - at, 8, bit(at));
    for (let at = 0; at < 8; at++) this.#set(this.#size - 1 - at, 8, bit(at));
    for (let at = 8; at < 15; at++) this.#set(8, this.#size - 15 + at, bit(at));
    this.#set(8, this.#size - 8, true);
  }

  /** @param {number} centreX @param {number} centreY @param {number} reach @param {(distance: number) => boolean} dark */
  #square(centreX, centreY, reach, dark) {
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) this.#set(centreX + dx, centreY + dy, dark(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  }

  /** A module of a pattern; outside there is none. @param {number} x @param {number} y @param {boolean} dark */
  #set(x, y, dark) {
    if (x < 0 || y < 0 || x >= this.#size || y >= this.#size) return;
    this.#row(y)[x] = dark;
    /** @type {boolean[]} */ (this.#fixed[y])[x] = true;
  }

  /** @param {number} y */
  #row(y) {
    return /** @type {boolean[]} */ (this.#dark[y]);
  }
}

/** How hard to read. @param {boolean[][]} rows */
function penalty(rows) {
  const columns = rows.map((_, x) => rows.map((row) => row[x] === true));
  const lines = [...rows, ...columns].map((line) => line.map((dark) => (dark ? "1" : "0")).join(""));
  let total = 0;
  for (const line of lines) {
    for (const { length } of line.match(/0{5,}|1{5,}/g) ?? []) total += length - 2;
    // Like a finder pattern with light on one side; they may overlap, and outside it is light.
    total += 40 * [...`${line}`.matchAll(/(?=00001011101|10111010000)/g)].length;
  }
  for (let y = 1; y < rows.length; y++) {
    for (let x = 1; x < rows.length; x++) {
      const same = rows[y]?.[x];
      if (rows[y - 1]?.[x] === same && rows[y]?.[x - 1] === same && rows[y - 1]?.[x - 1] === same) total += 3;
    }
  }
  const dark = lines.slice(0, rows.length).join("").replaceAll("0", "").length / rows.length ** 2;
  return total + 10 * Math.floor(Math.abs(dark * 20 - 10));
}
