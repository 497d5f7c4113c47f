/** What the brush leaves behind: vectors in image pixels, so that a 50-megapixel photo costs no more than a small one. */

import { distance, type Point } from "./viewport";

export interface Stroke {
  /** `paint` marks for erasing; `keep` takes marks away again. */
  readonly mode: "paint" | "keep";
  /** Image pixels. */
  readonly radius: number;
  /** Image pixels; one point is a dot. */
  readonly points: readonly Point[];
}

export const SMALLEST_BRUSH = 4;
export const LARGEST_BRUSH = 240;

/** Brush diameters are screen pixels; the slider (0...100) is exponential, because 5 to 10 px matters and 205 to 210 does not. */
export function brushFromSlider(value: number): number {
  return SMALLEST_BRUSH * (LARGEST_BRUSH / SMALLEST_BRUSH) ** (value / 100);
}

export function sliderFromBrush(diameter: number): number {
  return (100 * Math.log(diameter / SMALLEST_BRUSH)) / Math.log(LARGEST_BRUSH / SMALLEST_BRUSH);
}

export function clampBrush(diameter: number): number {
  return Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, diameter));
}

/** The stroke with `point` appended, or the same stroke when the point adds nothing that could be seen. */
export function extend(stroke: Stroke, point: Point): Stroke {
  const last = stroke.points.at(-1);
  // An eighth of the radius: the outline of the polyline then stays within 0.8 % of the radius of the true path.
  if (last !== undefined && distance(last, point) < stroke.radius / 8) return stroke;
  return { ...stroke, points: [...stroke.points, point] };
}

export function scaled(stroke: Stroke, factor: number): Stroke {
  return {
    mode: stroke.mode,
    radius: stroke.radius * factor,
    points: stroke.points.map(({ x, y }) => ({ x: x * factor, y: y * factor })),
  };
}
