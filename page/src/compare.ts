/** The line between before and after: dragged, or moved with the arrow keys. */

import { box } from "./dom";
import type { Size, View } from "./viewport";

const KEY_STEP = 0.02;

export class Compare {
  isOn = false;
  /** 0...1 of the photo's width. */
  split = 0.5;

  private readonly line = box("split");
  private readonly handle = box("split-handle");
  private left = 0;
  private width = 1;

  constructor(private readonly changed: () => void) {
    this.handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -KEY_STEP, ArrowRight: KEY_STEP, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.set(true, this.split + step);
    });
  }

  set(on: boolean, split = 0.5): void {
    this.isOn = on;
    this.split = Math.min(1, Math.max(0, split));
    this.line.hidden = !on;
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.split * 100)));
    this.changed();
  }

  /** `x`: stage pixels. */
  moveTo(x: number): void {
    this.set(true, (x - this.left) / this.width);
  }

  /** Keep the line on the photo, wherever the photo has gone, and the handle within reach. */
  place(view: View, image: Size, stage: Size): void {
    this.left = view.x;
    this.width = image.width * view.scale;
    const x = Math.min(stage.width, Math.max(0, this.left + this.width * this.split));
    const top = Math.max(0, view.y);
    const bottom = Math.min(stage.height, view.y + image.height * view.scale);
    this.line.style.transform = `translate(${x}px, ${top}px)`;
    this.line.style.height = `${Math.max(0, bottom - top)}px`;
  }
}
