/**
 * Strokes to a mask of exactly the photo's pixels, one bit a pixel: 50 megapixels are 6 MB here, where a canvas
 * would need 200 MB and iOS would refuse it (16.7 megapixels at most).
 */

import type { Stroke } from "./stroke";
import type { Point } from "./viewport";

export interface Mask {
  readonly width: number;
  readonly height: number;
  /** Bytes in a row: the row's bits, most significant first, padded to whole bytes (as PNG stores them). */
  readonly stride: number;
  readonly bits: Uint8Array<ArrayBuffer>;
}

/** A pixel belongs to a stroke when its centre lies within `radius` of the stroke's line; order counts for `keep`. */
export function rasterise(strokes: readonly Stroke[], width: number, height: number): Mask {
  const stride = (width + 7) >> 3;
  const mask: Mask = { width, height, stride, bits: new Uint8Array(stride * height) };
  for (const stroke of strokes) {
    // Half a pixel at least: the thinnest brush must still mark the pixel that it touches.
    const radius = Math.max(stroke.radius, 0.71);
    const value = stroke.mode === "paint";
    let from = stroke.points[0];
    if (from === undefined) continue;
    if (stroke.points.length === 1) fillCapsule(mask, from, from, radius, value);
    for (const to of stroke.points.slice(1)) {
      fillCapsule(mask, from, to, radius, value);
      from = to;
    }
  }
  return mask;
}

export function isEmpty(mask: Mask): boolean {
  return mask.bits.every((byte) => byte === 0);
}

/** All pixels whose centre is within `radius` of the line from `a` to `b`, row by row. */
function fillCapsule(mask: Mask, a: Point, b: Point, radius: number, value: boolean): void {
  const top = Math.max(0, Math.ceil(Math.min(a.y, b.y) - radius - 0.5));
  const bottom = Math.min(mask.height - 1, Math.floor(Math.max(a.y, b.y) + radius - 0.5));
  for (let row = top; row <= bottom; row += 1) {
    const span = capsuleSpan(a, b, radius, row + 0.5);
    if (span === null) continue;
    const first = Math.max(0, Math.ceil(span[0] - 0.5));
    const last = Math.min(mask.width - 1, Math.floor(span[1] - 0.5));
    if (first <= last) fillBits(mask.bits, row * mask.stride, first, last, value);
  }
}

/** Where the horizontal line at `y` crosses the capsule: the union (an interval, for it is convex) of two discs and a band. */
function capsuleSpan(a: Point, b: Point, radius: number, y: number): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  const include = (from: number, to: number): void => {
    low = Math.min(low, from);
    high = Math.max(high, to);
  };
  for (const end of [a, b]) {
    const half = radius * radius - (y - end.y) ** 2;
    if (half >= 0) include(end.x - Math.sqrt(half), end.x + Math.sqrt(half));
  }
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length = Math.hypot(dx, dy);
  if (length > 0) {
    // The band's two long edges are the line moved by the radius to either side.
    for (const side of [-1, 1]) {
      const ex = a.x - (side * radius * dy) / length;
      const ey = a.y + (side * radius * dx) / length;
      const t = dy === 0 ? NaN : (y - ey) / dy;
      if (t >= 0 && t <= 1) include(ex + t * dx, ex + t * dx);
    }
  }
  return low <= high ? [low, high] : null;
}

function fillBits(bits: Uint8Array, row: number, first: number, last: number, value: boolean): void {
  const firstByte = row + (first >> 3);
  const lastByte = row + (last >> 3);
  const head = 0xff >> (first & 7);
  const tail = (0xff << (7 - (last & 7))) & 0xff;
  if (firstByte === lastByte) {
    put(bits, firstByte, head & tail, value);
    return;
  }
  put(bits, firstByte, head, value);
  bits.fill(value ? 0xff : 0, firstByte + 1, lastByte);
  put(bits, lastByte, tail, value);
}

function put(bits: Uint8Array, index: number, which: number, value: boolean): void {
  const byte = bits[index] ?? 0;
  bits[index] = value ? byte | which : byte & ~which;
}
