/** Puts the photo and the paint on their two canvases. */

import type { Picture } from "./picture";
import type { Stroke } from "./stroke";
import type { Point, Size, View } from "./viewport";

export interface Comparison {
  readonly before: Picture;
  /** 0...1 of the photo's width: what lies left of it shows `before`. */
  readonly split: number;
}

/** From this zoom on single pixels are what one wants to see. */
const PIXELATED_FROM = 4;
const CHEQUER = 10;
const SHADOW = 26;

export class Painter {
  private readonly photo: CanvasRenderingContext2D;
  private readonly paint: CanvasRenderingContext2D;
  private density = 1;
  private chequer: CanvasPattern | null = null;

  constructor(photo: HTMLCanvasElement, paint: HTMLCanvasElement) {
    this.photo = context(photo);
    this.paint = context(paint);
  }

  resize(stage: Size, density: number): void {
    this.density = density;
    for (const { canvas } of [this.photo, this.paint]) {
      canvas.width = Math.max(1, Math.round(stage.width * density));
      canvas.height = Math.max(1, Math.round(stage.height * density));
    }
  }

  drawPhoto(view: View, image: Size, picture: Picture, comparison: Comparison | null): void {
    const context = this.photo;
    clear(context);
    context.setTransform(this.density, 0, 0, this.density, 0, 0);
    const width = image.width * view.scale;
    const height = image.height * view.scale;
    if (picture.seeThrough) this.drawChequer(view.x, view.y, width, height);
    else this.drawShadow(view.x, view.y, width, height);
    context.imageSmoothingEnabled = view.scale < PIXELATED_FROM;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture.source, view.x, view.y, width, height);
    if (comparison === null) return;
    context.save();
    context.beginPath();
    context.rect(view.x, view.y, width * comparison.split, height);
    context.clip();
    if (picture.seeThrough) this.drawChequer(view.x, view.y, width, height);
    context.drawImage(comparison.before.source, view.x, view.y, width, height);
    context.restore();
  }

  drawPaint(view: View, image: Size, strokes: readonly Stroke[]): void {
    clear(this.paint);
    for (const stroke of strokes) this.drawStroke(view, image, stroke, 0);
  }

  /** A stroke that is being made: only what came since `from` (an index into its points). */
  drawStroke(view: View, image: Size, stroke: Stroke, from: number): void {
    const context = this.paint;
    const scale = this.density * view.scale;
    context.save();
    context.setTransform(scale, 0, 0, scale, this.density * view.x, this.density * view.y);
    context.beginPath();
    context.rect(0, 0, image.width, image.height);
    context.clip();
    context.globalCompositeOperation = stroke.mode === "paint" ? "source-over" : "destination-out";
    context.strokeStyle = getComputedStyle(context.canvas).color;
    context.lineWidth = stroke.radius * 2;
    context.lineCap = context.lineJoin = "round";
    context.stroke(pathOf(stroke.points.slice(Math.max(0, from - 1))));
    context.restore();
  }

  /** Lifts the photo off the stage, so that its edges show even where it has the stage's colour. */
  private drawShadow(x: number, y: number, width: number, height: number): void {
    this.photo.save();
    this.photo.shadowColor = "rgb(20 10 20 / 22%)";
    this.photo.shadowBlur = SHADOW * this.density;
    this.photo.shadowOffsetY = (SHADOW / 5) * this.density;
    this.photo.fillRect(x, y, width, height);
    this.photo.restore();
  }

  private drawChequer(x: number, y: number, width: number, height: number): void {
    this.chequer ??= chequerboard(this.photo);
    if (this.chequer === null) return;
    this.photo.save();
    this.photo.fillStyle = this.chequer;
    this.photo.translate(x, y);
    this.photo.fillRect(0, 0, width, height);
    this.photo.restore();
  }
}

function pathOf(points: readonly Point[]): Path2D {
  const path = new Path2D();
  const [first, ...rest] = points;
  if (first === undefined) return path;
  path.moveTo(first.x, first.y);
  // A line of no length with round caps is a dot.
  if (rest.length === 0) path.lineTo(first.x, first.y);
  for (const { x, y } of rest) path.lineTo(x, y);
  return path;
}

function chequerboard(context: CanvasRenderingContext2D): CanvasPattern | null {
  const tile = document.createElement("canvas");
  tile.width = tile.height = CHEQUER * 2;
  const pen = tile.getContext("2d");
  if (pen === null) return null;
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, CHEQUER * 2, CHEQUER * 2);
  pen.fillStyle = "#d9d9de";
  pen.fillRect(0, 0, CHEQUER, CHEQUER);
  pen.fillRect(CHEQUER, CHEQUER, CHEQUER, CHEQUER);
  return context.createPattern(tile, "repeat");
}

function clear(context: CanvasRenderingContext2D): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}

function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const found = canvas.getContext("2d");
  if (found === null) throw new Error("This browser has no 2D canvas.");
  return found;
}
