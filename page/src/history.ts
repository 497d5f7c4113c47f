/**
 * One line of time: strokes, clears and results in the order in which they happened.
 * Undo and redo move a cursor along it; what is on the screen is always derived from the steps before the cursor.
 */

import type { Stroke } from "./stroke";

export type Step<V> =
  | { readonly kind: "stroke"; readonly stroke: Stroke }
  | { readonly kind: "clear" }
  | { readonly kind: "result"; readonly version: V };

export class History<V> {
  private steps: Step<V>[] = [];
  private cursor = 0;

  constructor(readonly original: V) {}

  /** Add a step after the cursor; what had been undone is gone. */
  push(step: Step<V>): void {
    this.steps = [...this.steps.slice(0, this.cursor), step];
    this.cursor = this.steps.length;
  }

  get canUndo(): boolean {
    return this.cursor > 0;
  }

  get canRedo(): boolean {
    return this.cursor < this.steps.length;
  }

  undo(): void {
    if (this.canUndo) this.cursor -= 1;
  }

  redo(): void {
    if (this.canRedo) this.cursor += 1;
  }

  /** The picture that the next erase works on. */
  get version(): V {
    for (const step of this.past().reverse()) if (step.kind === "result") return step.version;
    return this.original;
  }

  /** The strokes that the next erase would send, oldest first. */
  get strokes(): readonly Stroke[] {
    const strokes: Stroke[] = [];
    for (const step of this.past()) {
      if (step.kind === "stroke") strokes.push(step.stroke);
      else strokes.length = 0;
    }
    return strokes;
  }

  /** Every picture that undo or redo may still show, the original first. */
  get versions(): readonly V[] {
    const results = this.steps.flatMap((step) => (step.kind === "result" ? [step.version] : []));
    return [this.original, ...results];
  }

  /** The photo turned out to have other pixel dimensions than the browser said: carry the strokes over. */
  rescaleStrokes(carry: (stroke: Stroke) => Stroke): void {
    this.steps = this.steps.map((step) =>
      step.kind === "stroke" ? { kind: "stroke", stroke: carry(step.stroke) } : step,
    );
  }

  private past(): Step<V>[] {
    return this.steps.slice(0, this.cursor);
  }
}
