/** The stage: where the photo lies, is painted on, moved, zoomed and compared. It knows no server and no history. */

import { Compare } from "./compare";
import { box, need } from "./dom";
import { Gestures, type Intentions } from "./gestures";
import { Painter } from "./painter";
import type { Picture } from "./picture";
import { extend, type Stroke } from "./stroke";
import * as viewport from "./viewport";
import type { Point, Size, View } from "./viewport";

export interface StageEvents {
  stroke(stroke: Stroke): void;
  brush(diameter: number): void;
  zoom(scale: number): void;
}

const WHEEL_STEP = 1.0018;
const MARGIN = 24;
const NARROW = 720;
const LOW = 480;

export class Stage implements Intentions {
  readonly element = box("stage");
  readonly compare = new Compare(() => this.redrawPhoto());
  mode: Stroke["mode"] = "paint";
  /** Screen pixels, whatever the zoom. */
  brush = 44;
  spaceHeld = false;

  private readonly painter = new Painter(
    need("photo-layer", HTMLCanvasElement),
    need("paint-layer", HTMLCanvasElement),
  );
  private readonly gestures = new Gestures(this);
  private readonly ring = box("ring");
  private size: Size = { width: 1, height: 1 };
  private image: Size = { width: 1, height: 1 };
  private view: View = { scale: 1, x: 0, y: 0 };
  private fitScale = 1;
  /** The person has not zoomed or moved: a resized window fits the photo again. */
  private isFitted = true;
  private picture: Picture | null = null;
  private original: Picture | null = null;
  private strokes: readonly Stroke[] = [];
  private live: Stroke | null = null;
  private frame = 0;
  private pointer: Point | null = null;
  private busy = false;

  constructor(private readonly events: StageEvents) {
    new ResizeObserver(() => this.resize()).observe(this.element);
    this.listen();
  }

  /** Another photo: everything starts over. */
  open(picture: Picture, image: Size): void {
    this.original = picture;
    this.image = image;
    this.live = null;
    this.show(picture, []);
    this.compare.set(false);
    this.resize();
    this.fit();
  }

  /** The same photo turned out to have other dimensions, or another way to show it. */
  replaceOriginal(picture: Picture, image: Size): void {
    this.original = picture;
    this.image = image;
    this.fit();
  }

  show(picture: Picture, strokes: readonly Stroke[]): void {
    this.picture = picture;
    this.strokes = strokes;
    this.redraw();
  }

  set isBusy(busy: boolean) {
    this.busy = busy;
    this.element.classList.toggle("is-busy", busy);
    this.placeRing();
  }

  set showsOriginal(shows: boolean) {
    this.element.classList.toggle("is-original", shows);
    box("original-chip").hidden = !shows;
    this.redrawPhoto();
  }

  fit(): void {
    this.isFitted = true;
    this.fitScale = viewport.fit(this.image, this.size, this.insets()).scale;
    this.setView(viewport.fit(this.image, this.size, this.insets()));
  }

  zoom(factor: number, at: Point = { x: this.size.width / 2, y: this.size.height / 2 }): void {
    this.isFitted = false;
    this.setView(viewport.zoomAt(this.view, at, factor, viewport.zoomLimits(this.fitScale)));
  }

  placeRing(at: Point | null = this.pointer): void {
    this.pointer = at;
    this.ring.hidden = at === null || this.busy || this.spaceHeld || this.compare.isOn;
    this.ring.classList.toggle("is-keep", this.mode === "keep");
    this.element.classList.toggle("is-panning", this.spaceHeld);
    if (at === null) return;
    this.ring.style.width = this.ring.style.height = `${this.brush}px`;
    this.ring.style.transform = `translate(${at.x - this.brush / 2}px, ${at.y - this.brush / 2}px)`;
  }

  /** While the slider moves there is no pointer over the photo: show the size in the middle of it. */
  showBrush(): void {
    this.placeRing({ x: this.size.width / 2, y: this.size.height / 2 });
  }

  // --- what the gestures mean -------------------------------------------------------------------------------

  begin(at: Point): void {
    if (this.compare.isOn) this.compare.moveTo(at.x);
    else if (!this.busy) {
      this.live = { mode: this.mode, radius: this.brush / 2 / this.view.scale, points: [viewport.toImage(this.view, at)] };
      this.painter.drawStroke(this.view, this.image, this.live, 0);
    }
  }

  move(at: Point): void {
    if (this.compare.isOn) this.compare.moveTo(at.x);
    if (this.live === null) return;
    const drawn = this.live.points.length;
    this.live = extend(this.live, viewport.toImage(this.view, at));
    if (this.live.points.length > drawn) this.painter.drawStroke(this.view, this.image, this.live, drawn);
  }

  end(): void {
    const stroke = this.live;
    this.live = null;
    if (stroke !== null) this.events.stroke(stroke);
  }

  takeBack(): void {
    this.live = null;
    this.redraw();
  }

  pan(dx: number, dy: number): void {
    this.isFitted = false;
    this.setView(viewport.pan(this.view, dx, dy));
  }

  pinch(before: readonly [Point, Point], after: readonly [Point, Point]): void {
    this.isFitted = false;
    this.setView(viewport.pinch(this.view, before, after, viewport.zoomLimits(this.fitScale)));
  }

  // --- drawing ----------------------------------------------------------------------------------------------

  private setView(view: View): void {
    this.view = viewport.keepInSight(view, this.image, this.size);
    this.events.zoom(this.view.scale);
    this.redraw();
  }

  private redraw(): void {
    // Several moves within one frame cost one drawing.
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.redrawPhoto();
      const strokes = this.live === null ? this.strokes : [...this.strokes, this.live];
      this.painter.drawPaint(this.view, this.image, strokes);
    });
  }

  private redrawPhoto(): void {
    const { picture, original, view, image } = this;
    if (picture === null || original === null) return;
    this.element.classList.toggle("is-comparing", this.compare.isOn);
    this.compare.place(view, image, this.size);
    const shown = this.element.classList.contains("is-original") ? original : picture;
    this.painter.drawPhoto(view, image, shown, this.compare.isOn ? { before: original, split: this.compare.split } : null);
  }

  private resize(): void {
    const { width, height } = this.element.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    const grown = { x: (width - this.size.width) / 2, y: (height - this.size.height) / 2 };
    this.size = { width, height };
    this.painter.resize(this.size, window.devicePixelRatio || 1);
    if (this.isFitted) this.fit();
    else this.setView(viewport.pan(this.view, grown.x, grown.y));
  }

  /** What the floating toolbar covers stays free of the fitted photo. */
  private insets(): viewport.Insets {
    const stage = this.element.getBoundingClientRect();
    const margin = stage.width < NARROW ? 0 : stage.height < LOW ? MARGIN / 3 : MARGIN;
    const covered = Math.max(0, stage.bottom - box("dock").getBoundingClientRect().top);
    return { top: margin, right: margin, left: margin, bottom: covered + margin };
  }

  // --- listening --------------------------------------------------------------------------------------------

  private listen(): void {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => {
      const pans = event.button === 1 || (this.spaceHeld && event.button === 0);
      if (event.button !== 0 && !pans) return;
      element.setPointerCapture(event.pointerId);
      this.gestures.down(event.pointerId, this.at(event), pans);
    });
    element.addEventListener("mousedown", (event) => {
      // A middle click would start the browser's own scrolling.
      if (event.button === 1) event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => {
      // The moves that the browser merged into one event make round strokes out of fast ones.
      const merged = event.getCoalescedEvents?.() ?? [];
      for (const each of merged.length > 0 ? merged : [event]) this.gestures.move(event.pointerId, this.at(each));
      this.placeRing(event.pointerType === "touch" ? null : this.at(event));
    });
    element.addEventListener("pointerup", (event) => this.gestures.up(event.pointerId));
    element.addEventListener("pointercancel", (event) => this.gestures.cancel(event.pointerId));
    element.addEventListener("pointerleave", () => this.placeRing(null));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    // A quick stroke would count as a fling, and Chromium swallows the tap (on "Erase") that follows a fling.
    element.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    // Safari's own page zoom.
    element.addEventListener("gesturestart", (event) => event.preventDefault());
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 24 : 1;
    const delta = (event.deltaY || event.deltaX) * lines;
    if (event.shiftKey) {
      this.events.brush(this.brush * WHEEL_STEP ** -delta);
      this.placeRing(this.at(event));
    } else {
      // A trackpad pinch arrives as a wheel with Ctrl and small deltas.
      this.zoom(WHEEL_STEP ** (-delta * (event.ctrlKey ? 5 : 1)), this.at(event));
    }
  }

  private at(event: MouseEvent): Point {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}
