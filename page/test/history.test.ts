import { describe, expect, it } from "vitest";
import { History } from "../src/history";
import { scaled, type Stroke } from "../src/stroke";

const stroke = (x: number): Stroke => ({ mode: "paint", radius: 4, points: [{ x, y: 0 }] });
const push = (history: History<string>, x: number): void => history.addStroke(stroke(x));

describe("History", () => {
  it("begins with the original and nothing to undo", () => {
    const history = new History("original");
    expect([history.version, history.strokes, history.canUndo, history.canRedo]).toEqual(["original", [], false, false]);
    history.undo();
    expect(history.version).toBe("original");
  });

  it("undoes and redoes strokes in order", () => {
    const history = new History("original");
    push(history, 1);
    push(history, 2);
    history.undo();
    expect(history.strokes).toEqual([stroke(1)]);
    history.redo();
    expect(history.strokes).toEqual([stroke(1), stroke(2)]);
  });

  it("brings strokes back when a clear is undone", () => {
    const history = new History("original");
    push(history, 1);
    history.clear();
    expect(history.strokes).toEqual([]);
    history.undo();
    expect(history.strokes).toEqual([stroke(1)]);
  });

  it("starts a clean layer on a result, and undo brings the picture before back with its strokes", () => {
    const history = new History("original");
    push(history, 1);
    history.addResult("first");
    push(history, 2);
    expect([history.version, history.strokes]).toEqual(["first", [stroke(2)]]);
    history.undo();
    history.undo();
    expect([history.version, history.strokes]).toEqual(["original", [stroke(1)]]);
    history.redo();
    expect([history.version, history.strokes]).toEqual(["first", []]);
  });

  it("forgets what was undone once something new happens", () => {
    const history = new History("original");
    history.addResult("first");
    history.undo();
    push(history, 3);
    expect(history.canRedo).toBe(false);
    expect(history.version).toBe("original");
  });

  it("carries strokes over to other dimensions, the undone ones too", () => {
    const history = new History("original");
    push(history, 1);
    history.undo();
    history.rescaleStrokes((each) => scaled(each, 2));
    history.redo();
    expect(history.strokes).toEqual([{ mode: "paint", radius: 8, points: [{ x: 2, y: 0 }] }]);
  });

  it("keeps the variants of a result beside each other, as one step", () => {
    const history = new History("original");
    push(history, 1);
    history.addResult("first");
    history.addVariant("second");
    history.addVariant("third");
    expect([history.version, history.variants]).toEqual(["third", { picked: 2, count: 3 }]);
    history.pick(-1);
    expect([history.version, history.variants]).toEqual(["second", { picked: 1, count: 3 }]);
    history.pick(-5);
    expect(history.version).toBe("first");
    history.pick(1);
    history.undo();
    expect([history.version, history.strokes, history.variants]).toEqual(["original", [stroke(1)], null]);
    history.redo();
    expect([history.version, history.variants]).toEqual(["second", { picked: 1, count: 3 }]);
  });

  it("offers variants only while nothing is painted on the result", () => {
    const history = new History("original");
    expect(history.variants).toBeNull();
    history.addResult("first");
    push(history, 1);
    expect(history.variants).toBeNull();
    history.undo();
    expect(history.variants).toEqual({ picked: 0, count: 1 });
  });

  it("redoes what was done on a variant only from that variant", () => {
    const history = new History("original");
    history.addResult("first");
    history.addVariant("second");
    push(history, 1);
    history.addResult("on the second");
    history.undo();
    history.undo();
    history.pick(-1);
    expect(history.canRedo).toBe(false);
    history.addVariant("third");
    expect(history.canRedo).toBe(false);
    history.pick(-1);
    expect([history.version, history.canRedo]).toEqual(["second", true]);
    history.redo();
    history.redo();
    expect(history.version).toBe("on the second");
  });

  it("has no variants of the original", () => {
    const history = new History("original");
    history.addVariant("stray");
    history.pick(1);
    expect([history.version, history.alternatives]).toEqual(["original", []]);
  });
});
