/** Fingers, pens and mice as intentions. One pointer strokes, two pinch; a pinch takes back the stroke it began with. */

import type { Point } from "./viewport";

export interface Intentions {
  begin(at: Point): void;
  move(at: Point): void;
  end(): void;
  takeBack(): void;
  pan(dx: number, dy: number): void;
  pinch(before: readonly [Point, Point], after: readonly [Point, Point]): void;
}

type State = "idle" | "stroking" | "panning" | "pinching" | "spent";

export class Gestures {
  private readonly pointers = new Map<number, Point>();
  private state: State = "idle";

  constructor(private readonly intentions: Intentions) {}

  get isIdle(): boolean {
    return this.state === "idle";
  }

  down(id: number, at: Point, pans: boolean): void {
    this.pointers.set(id, at);
    if (this.pointers.size === 1) {
      this.state = pans ? "panning" : "stroking";
      if (!pans) this.intentions.begin(at);
    } else {
      if (this.state === "stroking") this.intentions.takeBack();
      this.state = this.pointers.size === 2 ? "pinching" : "spent";
    }
  }

  move(id: number, at: Point): void {
    const from = this.pointers.get(id);
    if (from === undefined) return;
    const before = this.pair();
    this.pointers.set(id, at);
    const after = this.pair();
    if (this.state === "stroking") this.intentions.move(at);
    else if (this.state === "panning") this.intentions.pan(at.x - from.x, at.y - from.y);
    else if (this.state === "pinching" && before !== null && after !== null) this.intentions.pinch(before, after);
  }

  up(id: number): void {
    if (!this.pointers.delete(id)) return;
    if (this.state === "stroking") this.intentions.end();
    // The finger that is left after a pinch must not start to paint: wait until all are gone.
    this.state = this.pointers.size === 0 ? "idle" : "spent";
  }

  /** The system took the pointer away (a call, a notification, an edge swipe). */
  cancel(id: number): void {
    if (!this.pointers.delete(id)) return;
    if (this.state === "stroking") this.intentions.takeBack();
    this.state = this.pointers.size === 0 ? "idle" : "spent";
  }

  private pair(): readonly [Point, Point] | null {
    const [a, b] = [...this.pointers.values()];
    return a !== undefined && b !== undefined ? [a, b] : null;
  }
}
