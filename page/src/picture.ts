/** A photo as the browser can show it: oriented, and never larger than every canvas can hold. */

import type { Size } from "./viewport";

export interface Picture {
  readonly source: ImageBitmap | HTMLCanvasElement;
  /** Of the file, orientation applied; `source` may be smaller. */
  readonly natural: Size;
  /** Some pixel is see-through: draw a chequerboard below. */
  readonly seeThrough: boolean;
}

/** 4096 x 4096 is what iOS allows a canvas; the display needs no more, for results keep every pixel anyway. */
const LONGEST_SIDE = 4096;

/** Throws when the browser cannot decode the bytes (TIFF, HEIC in most browsers, damaged files). */
export async function decode(blob: Blob): Promise<Picture> {
  const bitmap = await createImageBitmap(blob);
  const natural = { width: bitmap.width, height: bitmap.height };
  const shrink = LONGEST_SIDE / Math.max(natural.width, natural.height);
  if (shrink >= 1) return { source: bitmap, natural, seeThrough: isSeeThrough(bitmap) };
  const source = draw(bitmap, Math.round(natural.width * shrink), Math.round(natural.height * shrink));
  bitmap.close();
  return { source, natural, seeThrough: isSeeThrough(source) };
}

export function release(picture: Picture): void {
  if (picture.source instanceof ImageBitmap) picture.source.close();
  else picture.source.width = picture.source.height = 0;
}

function draw(image: CanvasImageSource, width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  const context = canvas.getContext("2d");
  if (context !== null) {
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

/** Judged on a thumbnail: a see-through area that vanishes at 64 pixels needs no chequerboard. */
function isSeeThrough(image: CanvasImageSource): boolean {
  const thumbnail = draw(image, 64, 64);
  const pixels = thumbnail.getContext("2d")?.getImageData(0, 0, 64, 64).data;
  return pixels?.some((value, index) => index % 4 === 3 && value < 250) ?? false;
}
