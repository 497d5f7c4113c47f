import { describe, expect, it } from "vitest";
import { History } from "../src/history";
import { scaled, type Stroke } from "../src/stroke";

const stroke = (x: number): Stroke => ({ mode: "paint", radius: 4, points: [{ x, y: 0 }] });
const push = (history: History<string>, x: number): void => history.push({ kind: "stroke", stroke: stroke(x) });

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
    history.push({ kind: "clear" });
    expect(history.strokes).toEqual([]);
    history.undo();
    expect(history.strokes).toEqual([stroke(1)]);
  });

  it("starts a clean layer on a result, and undo brings the picture before back with its strokes", () => {
    const history = new History("original");
    push(history, 1);
    history.push({ kind: "result", version: "first" });
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
    history.push({ kind: "result", version: "first" });
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
});
