import { describe, expect, it } from "vitest";
import { isEmpty, rasterise, type Mask } from "../src/mask";
import { encodePng } from "../src/png";
import type { Stroke } from "../src/stroke";
import type { Point } from "../src/viewport";

const stroke = (radius: number, points: Point[], mode: Stroke["mode"] = "paint"): Stroke => ({ mode, radius, points });

function bit(mask: Mask, x: number, y: number): boolean {
  return (((mask.bits[y * mask.stride + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1) === 1;
}

function toLine(p: Point, a: Point, b: Point): number {
  const length2 = (b.x - a.x) ** 2 + (b.y - a.y) ** 2;
  const t = length2 === 0 ? 0 : ((p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y)) / length2;
  const u = Math.min(1, Math.max(0, t));
  return Math.hypot(p.x - a.x - u * (b.x - a.x), p.y - a.y - u * (b.y - a.y));
}

describe("rasterise", () => {
  const lines: [Point, Point][] = [
    [{ x: 20, y: 20 }, { x: 20, y: 20 }],
    [{ x: 12, y: 30 }, { x: 47, y: 30 }],
    [{ x: 30, y: 11 }, { x: 30, y: 44 }],
    [{ x: 10.3, y: 12.8 }, { x: 50.1, y: 41.7 }],
    [{ x: 52, y: 9 }, { x: 9, y: 44 }],
    [{ x: 60, y: 5 }, { x: 80, y: -20 }],
  ];

  it.each(lines)("marks exactly the pixels whose centre is within the radius of the line %#", (a, b) => {
    const radius = 7.3;
    const mask = rasterise([stroke(radius, [a, b])], 61, 50);
    for (let y = 0; y < 50; y += 1) {
      for (let x = 0; x < 61; x += 1) {
        const away = toLine({ x: x + 0.5, y: y + 0.5 }, a, b);
        if (Math.abs(away - radius) > 1e-6) expect(bit(mask, x, y), `${x},${y}`).toBe(away < radius);
      }
    }
  });

  it("takes marks away with a keep stroke, and order counts", () => {
    const paint = stroke(10, [{ x: 20, y: 20 }]);
    const keep = stroke(4, [{ x: 20, y: 20 }], "keep");
    expect(bit(rasterise([paint, keep], 40, 40), 20, 20)).toBe(false);
    expect(bit(rasterise([paint, keep], 40, 40), 27, 20)).toBe(true);
    expect(bit(rasterise([keep, paint], 40, 40), 20, 20)).toBe(true);
  });

  it("marks at least the pixel that the thinnest brush touches", () => {
    expect(bit(rasterise([stroke(0.1, [{ x: 3.9, y: 3.1 }])], 9, 9), 3, 3)).toBe(true);
  });

  it("is empty when all strokes lie beside the photo", () => {
    expect(isEmpty(rasterise([stroke(5, [{ x: -20, y: 3 }, { x: 3, y: 90 }])], 30, 30))).toBe(true);
    expect(isEmpty(rasterise([], 30, 30))).toBe(true);
  });

  it("does a 50-megapixel photo in less than a second", () => {
    const points = Array.from({ length: 400 }, (_, i) => ({ x: 20 * i, y: 3000 + 2000 * Math.sin(i / 20) }));
    const began = performance.now();
    rasterise([stroke(300, points)], 8660, 5774);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

describe("encodePng", () => {
  it("writes a one-bit greyscale PNG of exactly the photo's size whose rows are the mask's", async () => {
    const mask = rasterise([stroke(3, [{ x: 5, y: 4 }])], 13, 9);
    const bytes = new Uint8Array(await (await encodePng(mask)).arrayBuffer());
    const view = new DataView(bytes.buffer);
    expect([...bytes.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
    expect([view.getUint32(16), view.getUint32(20), ...bytes.subarray(24, 29)]).toEqual([13, 9, 1, 0, 0, 0, 0]);
    // The CRC of an empty IEND is a constant of the format.
    expect(view.getUint32(bytes.length - 4)).toBe(0xae426082);
    const data = bytes.subarray(41, 41 + view.getUint32(33));
    const rows = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = new Uint8Array(await new Response(rows).arrayBuffer());
    for (let y = 0; y < 9; y += 1) {
      expect([...raw.subarray(y * 3, y * 3 + 3)]).toEqual([0, ...mask.bits.subarray(y * 2, y * 2 + 2)]);
    }
  });
});
