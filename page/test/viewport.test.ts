import { describe, expect, it } from "vitest";
import { fit, keepInSight, pinch, toImage, toStage, zoomAt, zoomLimits } from "../src/viewport";

const NONE = { top: 0, right: 0, bottom: 0, left: 0 };
const limits = { min: 0.01, max: 32 };

describe("fit", () => {
  it("shows the whole photo, centred", () => {
    expect(fit({ width: 4000, height: 2000 }, { width: 1000, height: 1000 }, NONE)).toEqual({ scale: 0.25, x: 0, y: 250 });
  });

  it("keeps clear of what the toolbar covers", () => {
    const view = fit({ width: 1000, height: 1000 }, { width: 1000, height: 1000 }, { ...NONE, bottom: 100 });
    expect(toStage(view, { x: 0, y: 1000 }).y).toBeCloseTo(900);
  });

  it("does not blow a small photo up beyond three times, but shows a single pixel", () => {
    expect(fit({ width: 100, height: 100 }, { width: 2000, height: 2000 }, NONE).scale).toBe(3);
    expect(fit({ width: 1, height: 1 }, { width: 2000, height: 2000 }, NONE).scale).toBe(240);
  });

  it("survives a stage without room", () => {
    expect(fit({ width: 10, height: 10 }, { width: 0, height: 0 }, NONE).scale).toBeGreaterThan(0);
  });
});

describe("zoom", () => {
  const view = { scale: 0.5, x: 40, y: -20 };

  it("keeps the image point under the pointer", () => {
    const at = { x: 321, y: 123 };
    const before = toImage(view, at);
    const after = toImage(zoomAt(view, at, 3, limits), at);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("stops at its limits without moving the photo", () => {
    const deepest = { ...view, scale: 32 };
    expect(zoomAt(deepest, { x: 5, y: 5 }, 2, limits)).toEqual(deepest);
    expect(zoomLimits(0.1).min).toBeCloseTo(0.05);
  });

  it("keeps both image points under two fingers that spread and move", () => {
    const before = [{ x: 100, y: 100 }, { x: 200, y: 100 }] as const;
    const after = [{ x: 50, y: 180 }, { x: 250, y: 180 }] as const;
    const moved = pinch(view, before, after, limits);
    expect(moved.scale).toBeCloseTo(1);
    for (const i of [0, 1] as const) {
      const point = toStage(moved, toImage(view, before[i]));
      expect(point.x).toBeCloseTo(after[i].x);
      expect(point.y).toBeCloseTo(after[i].y);
    }
  });
});

it("never lets the photo leave the middle of the stage", () => {
  const image = { width: 100, height: 100 };
  const stage = { width: 400, height: 300 };
  expect(keepInSight({ scale: 1, x: 9999, y: -9999 }, image, stage)).toEqual({ scale: 1, x: 200, y: 50 });
});
