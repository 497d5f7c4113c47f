import { beforeEach, describe, expect, it } from "vitest";
import { Gestures } from "../src/gestures";

const p = (x: number, y = 0) => ({ x, y });

describe("Gestures", () => {
  let heard: string[];
  let gestures: Gestures;

  beforeEach(() => {
    heard = [];
    gestures = new Gestures({
      begin: () => heard.push("begin"),
      move: () => heard.push("move"),
      end: () => heard.push("end"),
      takeBack: () => heard.push("takeBack"),
      pan: (dx, dy) => heard.push(`pan ${dx} ${dy}`),
      pinch: () => heard.push("pinch"),
    });
  });

  it("one pointer strokes", () => {
    gestures.down(1, p(0), false);
    gestures.move(1, p(5));
    gestures.up(1);
    expect(heard).toEqual(["begin", "move", "end"]);
  });

  it("a second finger takes the stroke back and pinches; no finger of a pinch ever paints", () => {
    gestures.down(1, p(0), false);
    gestures.move(1, p(5));
    gestures.down(2, p(90), false);
    gestures.move(2, p(120));
    gestures.up(1);
    gestures.move(2, p(200));
    gestures.up(2);
    expect(heard).toEqual(["begin", "move", "takeBack", "pinch"]);
  });

  it("paints again once all fingers have left", () => {
    gestures.down(1, p(0), false);
    gestures.down(2, p(9), false);
    gestures.up(2);
    gestures.up(1);
    heard.length = 0;
    gestures.down(3, p(0), false);
    gestures.up(3);
    expect(heard).toEqual(["begin", "end"]);
  });

  it("a third finger stops everything", () => {
    for (const id of [1, 2, 3]) gestures.down(id, p(id * 10), false);
    heard.length = 0;
    gestures.move(2, p(99));
    expect(heard).toEqual([]);
  });

  it("a panning pointer moves the photo by what it moved", () => {
    gestures.down(1, p(10, 10), true);
    gestures.move(1, p(13, 6));
    gestures.up(1);
    expect(heard).toEqual(["pan 3 -4"]);
  });

  it("takes the stroke back when the system takes the pointer", () => {
    gestures.down(1, p(0), false);
    gestures.cancel(1);
    gestures.up(1);
    expect(heard).toEqual(["begin", "takeBack"]);
  });

  it("ignores pointers that never went down here", () => {
    gestures.move(7, p(1));
    gestures.up(7);
    expect(heard).toEqual([]);
  });
});
