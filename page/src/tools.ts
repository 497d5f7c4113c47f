/** The bars and buttons around the stage: what they do, and which of them can be pressed now. */

import { box, button, input, need } from "./dom";
import type { Variants } from "./history";
import type { Words } from "./i18n";
import { brushFromSlider, clampBrush, sliderFromBrush } from "./stroke";

export interface Actions {
  erase(): void;
  cancel(): void;
  again(): void;
  /** Another variant, so many places further. */
  pick(by: number): void;
  clear(): void;
  undo(): void;
  redo(): void;
  download(): void;
  newPhoto(): void;
  compare(): void;
  original(shown: boolean): void;
  mode(mode: "paint" | "keep"): void;
  brush(diameter: number): void;
  /** The size slider is being moved, or was let go. */
  sizing(active: boolean): void;
  zoom(factor: number): void;
  fit(): void;
}

export interface State {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly canErase: boolean;
  readonly hasResult: boolean;
  /** Of the result on the screen, while nothing is painted on it. */
  readonly variants: Variants | null;
  readonly compares: boolean;
}

const ZOOM_STEP = 1.35;
const TICK_MS = 100;

export class Tools {
  private readonly size = input("size");
  private clock = 0;
  /** Of the next try, while one is waited for. */
  private until: number | null = null;

  constructor(
    private readonly words: Words,
    actions: Actions,
  ) {
    const clicks: Readonly<Record<string, () => void>> = {
      erase: actions.erase,
      cancel: actions.cancel,
      again: actions.again,
      "variant-before": () => actions.pick(-1),
      "variant-after": () => actions.pick(1),
      clear: actions.clear,
      undo: actions.undo,
      redo: actions.redo,
      download: actions.download,
      "new-photo": actions.newPhoto,
      compare: actions.compare,
      "mode-paint": () => actions.mode("paint"),
      "mode-keep": () => actions.mode("keep"),
      "zoom-in": () => actions.zoom(ZOOM_STEP),
      "zoom-out": () => actions.zoom(1 / ZOOM_STEP),
      fit: actions.fit,
    };
    for (const [id, act] of Object.entries(clicks)) button(id).addEventListener("click", act);
    this.listenToHold(actions);
    this.size.addEventListener("input", () => {
      actions.brush(brushFromSlider(this.size.valueAsNumber));
      actions.sizing(true);
    });
    for (const end of ["change", "pointerup", "blur"]) this.size.addEventListener(end, () => actions.sizing(false));
  }

  render(state: State, busy: boolean): void {
    button("undo").disabled = busy || !state.canUndo;
    button("redo").disabled = busy || !state.canRedo;
    button("erase").disabled = busy || !state.canErase;
    button("clear").disabled = busy || !state.canErase;
    for (const id of ["download", "original", "compare"]) button(id).disabled = busy || !state.hasResult;
    button("compare").setAttribute("aria-pressed", String(state.compares));
    this.renderVariants(state.variants, busy);
  }

  /** On a fresh result there is nothing to erase or to clear: in that place it can be tried again. */
  private renderVariants(variants: Variants | null, busy: boolean): void {
    const { picked, count } = variants ?? { picked: 0, count: 0 };
    box("dock-tools").classList.toggle("has-variants", variants !== null);
    box("dock-tools").classList.toggle("has-several", count > 1);
    button("again").disabled = busy || variants === null;
    button("variant-before").disabled = busy || picked === 0;
    button("variant-after").disabled = busy || picked >= count - 1;
    box("variant-label").textContent = `${picked + 1}/${count}`;
  }

  showMode(mode: "paint" | "keep"): void {
    button("mode-paint").setAttribute("aria-pressed", String(mode === "paint"));
    button("mode-keep").setAttribute("aria-pressed", String(mode === "keep"));
  }

  showBrush(diameter: number): void {
    const value = Math.round(sliderFromBrush(clampBrush(diameter)));
    if (this.size.valueAsNumber !== value) this.size.value = String(value);
    this.size.setAttribute("aria-valuetext", this.words.say("px", { n: Math.round(diameter) }));
  }

  showZoom(scale: number): void {
    const percent = scale * 100;
    box("zoom-label").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)}%`;
  }

  showSending(share: number | null): void {
    const bar = need("sending", HTMLProgressElement);
    bar.hidden = share === null || share >= 1;
    if (share !== null) bar.value = share;
  }

  /** The dock turns into what is going on, how long already, and the way out. */
  startBusy(): () => number {
    const began = performance.now();
    const seconds = (): number => (performance.now() - began) / 1000;
    const tick = (): void => {
      const left = this.until === null ? null : Math.max(1, Math.ceil((this.until - performance.now()) / 1000));
      box("busy-time").textContent =
        left === null ? this.words.say("seconds", { n: seconds().toFixed(1) }) : this.words.say("inSeconds", { n: left });
    };
    box("dock").classList.add("is-busy");
    tick();
    this.clock = window.setInterval(tick, TICK_MS);
    return seconds;
  }

  /** Shows how long it is until then, in place of how long it has taken; null goes back to that. */
  countDown(until: number | null): void {
    this.until = until;
  }

  sayBusy(text: string): void {
    // A status that is written anew is read out anew.
    if (box("busy-words").textContent !== text) box("busy-words").textContent = text;
  }

  endBusy(): void {
    clearInterval(this.clock);
    box("dock").classList.remove("is-busy");
  }

  private listenToHold(actions: Actions): void {
    const hold = button("original");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      actions.original(true);
    });
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    for (const end of ["pointerup", "pointercancel", "blur"]) hold.addEventListener(end, () => actions.original(false));
    hold.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") actions.original(true);
    });
    hold.addEventListener("keyup", () => actions.original(false));
  }
}
