/** Where the photo lies on the stage. Pure maths: image pixels to stage (CSS) pixels and back. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Insets {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** `stage = image * scale + (x, y)` */
export interface View {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

/** A photo smaller than the stage is enlarged at most this much by "fit": beyond it looks like a mistake. */
const FIT_ENLARGES_AT_MOST = 3;
const DEEPEST_ZOOM = 32;

export function toImage(view: View, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

export function toStage(view: View, at: Point): Point {
  return { x: at.x * view.scale + view.x, y: at.y * view.scale + view.y };
}

/** The whole photo, centred in what the toolbars leave free. */
export function fit(image: Size, stage: Size, insets: Insets): View {
  const width = Math.max(1, stage.width - insets.left - insets.right);
  const height = Math.max(1, stage.height - insets.top - insets.bottom);
  const enlargesAtMost = Math.max(FIT_ENLARGES_AT_MOST, 240 / Math.max(image.width, image.height));
  const scale = Math.min(width / image.width, height / image.height, enlargesAtMost);
  return {
    scale,
    x: insets.left + (width - image.width * scale) / 2,
    y: insets.top + (height - image.height * scale) / 2,
  };
}

export function zoomLimits(fitScale: number): { readonly min: number; readonly max: number } {
  return { min: fitScale * 0.5, max: Math.max(DEEPEST_ZOOM, fitScale * 4) };
}

/** Zoom by `factor`, keeping the image point under `at` where it is. */
export function zoomAt(view: View, at: Point, factor: number, limits: { min: number; max: number }): View {
  const scale = Math.min(limits.max, Math.max(limits.min, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

export function pan(view: View, dx: number, dy: number): View {
  return { scale: view.scale, x: view.x + dx, y: view.y + dy };
}

/** Two fingers moved: the image points under them stay under them (as far as the zoom limits allow). */
export function pinch(
  view: View,
  before: readonly [Point, Point],
  after: readonly [Point, Point],
  limits: { min: number; max: number },
): View {
  const apart = Math.max(1, distance(before[0], before[1]));
  const centre = middle(before[0], before[1]);
  const moved = middle(after[0], after[1]);
  const zoomed = zoomAt(view, centre, distance(after[0], after[1]) / apart, limits);
  return pan(zoomed, moved.x - centre.x, moved.y - centre.y);
}

/** The photo never leaves: the middle of the stage always shows a part of it. */
export function keepInSight(view: View, image: Size, stage: Size): View {
  const clamp = (offset: number, length: number, room: number): number =>
    Math.min(room / 2, Math.max(room / 2 - length * view.scale, offset));
  return {
    scale: view.scale,
    x: clamp(view.x, image.width, stage.width),
    y: clamp(view.y, image.height, stage.height),
  };
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function middle(a: Point, b: Point): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}
