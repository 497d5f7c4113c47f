/**
 * One line of time: strokes, clears and results in the order in which they happened.
 * Undo and redo move a cursor along it; what is on the screen is always derived from the steps before the cursor.
 * A result is one step however often it was tried again: its variants lie side by side, and one of them is picked.
 */

import type { Stroke } from "./stroke";

interface Result<V> {
  readonly kind: "result";
  readonly versions: readonly V[];
  readonly picked: number;
  /** The variant on which what comes later was done: only from there can it be redone. */
  readonly followed: number;
}

type Step<V> = { readonly kind: "stroke"; readonly stroke: Stroke } | { readonly kind: "clear" } | Result<V>;

export interface Variants {
  readonly picked: number;
  readonly count: number;
}

export class History<V> {
  private steps: Step<V>[] = [];
  private cursor = 0;

  constructor(readonly original: V) {}

  addStroke(stroke: Stroke): void {
    this.push({ kind: "stroke", stroke });
  }

  clear(): void {
    this.push({ kind: "clear" });
  }

  addResult(version: V): void {
    this.push({ kind: "result", versions: [version], picked: 0, followed: 0 });
  }

  get canUndo(): boolean {
    return this.cursor > 0;
  }

  get canRedo(): boolean {
    const last = this.lastResult();
    return this.cursor < this.steps.length && (last === null || last.picked === last.followed);
  }

  undo(): void {
    if (this.canUndo) this.cursor -= 1;
  }

  redo(): void {
    if (this.canRedo) this.cursor += 1;
  }

  /** The picture that the next erase works on. */
  get version(): V {
    const last = this.lastResult();
    return last?.versions[last.picked] ?? this.original;
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

  /** The variants of the result on the screen; null where there is none, or something has been painted on it. */
  get variants(): Variants | null {
    const last = this.lastResult();
    if (last === null || this.strokes.length > 0) return null;
    return { picked: last.picked, count: last.versions.length };
  }

  /** All variants of the result on the screen, oldest first. */
  get alternatives(): readonly V[] {
    return this.lastResult()?.versions ?? [];
  }

  /** The result on the screen once more: the new variant is picked, the others stay beside it. */
  addVariant(version: V): void {
    const last = this.lastResult();
    if (last !== null) this.change({ ...last, versions: [...last.versions, version], picked: last.versions.length });
  }

  /** Another variant of the result on the screen, `by` places further; none beyond the ends. */
  pick(by: number): void {
    const last = this.lastResult();
    if (last === null) return;
    this.change({ ...last, picked: Math.min(last.versions.length - 1, Math.max(0, last.picked + by)) });
  }

  /** The photo turned out to have other pixel dimensions than the browser said: carry the strokes over. */
  rescaleStrokes(carry: (stroke: Stroke) => Stroke): void {
    this.steps = this.steps.map((step) =>
      step.kind === "stroke" ? { kind: "stroke", stroke: carry(step.stroke) } : step,
    );
  }

  /** Add a step after the cursor; what had been undone is gone. */
  private push(step: Step<V>): void {
    const last = this.lastResult();
    if (last !== null) this.change({ ...last, followed: last.picked });
    this.steps = [...this.past(), step];
    this.cursor = this.steps.length;
  }

  private change(result: Result<V>): void {
    const at = this.lastResultAt();
    this.steps = this.steps.map((step, index) => (index === at ? result : step));
  }

  private lastResult(): Result<V> | null {
    const step = this.steps[this.lastResultAt()];
    return step?.kind === "result" ? step : null;
  }

  /** -1 where there is none. */
  private lastResultAt(): number {
    return this.past().findLastIndex((step) => step.kind === "result");
  }

  private past(): Step<V>[] {
    return this.steps.slice(0, this.cursor);
  }
}
