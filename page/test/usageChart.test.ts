import { describe, expect, it } from "vitest";
import { bars, sayDay, top } from "../src/account/usageChart";

it.each([[0, 1], [1, 1], [2, 2], [3, 5], [12, 20], [20, 20], [21, 50], [99, 100], [100, 100], [101, 200]])(
  "with %d at most the chart ends at %d",
  (most, expected) => expect(top(most)).toBe(expected),
);

describe("bars", () => {
  it("stand side by side on the ground, as high as their values", () => {
    const made = bars([10, 5, 0], 300, 100);
    expect(made.map(({ height }) => height)).toEqual([100, 50, 0]);
    expect(made.map(({ y, height }) => y + height)).toEqual([100, 100, 100]);
    expect(made[1]?.x).toBeGreaterThan((made[0]?.x ?? 0) + (made[0]?.width ?? 0));
  });

  it("are seen wherever there was a call", () => {
    expect(bars([1, 100_000], 300, 100)[0]?.height).toBe(2);
  });

  it("are none for no days, and flat for days without calls", () => {
    expect(bars([], 300, 100)).toEqual([]);
    expect(bars([0, 0], 300, 100).map(({ height }) => height)).toEqual([0, 0]);
  });
});

it("names a day as a day, in whatever time zone the browser is", () => {
  expect(sayDay("en-US", "2026-11-24")).toBe("Nov 24");
  expect(sayDay("zh-CN", "2026-11-24")).toBe("11月24日");
  expect(sayDay("en", "nonsense")).toBe("nonsense");
});
