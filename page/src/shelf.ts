/** The pictures of the versions, decoded when they are shown: a 12-megapixel one weighs 48 MB, so few are kept. */

import type { Api } from "./api";
import { decode, release, type Picture } from "./picture";
import { isForgotten, Problem } from "./problem";
import type { Version } from "./session";

/** The original, the one on the screen, and two to undo to without a wait. */
const KEPT = 4;

export class Shelf {
  private readonly pictures = new Map<Version, Picture>();

  constructor(private readonly api: Api) {}

  has(version: Version): boolean {
    return this.pictures.has(version);
  }

  async get(version: Version): Promise<Picture> {
    const kept = this.pictures.get(version);
    if (kept !== undefined) {
      this.touch(version, kept);
      return kept;
    }
    const picture = await decode(version.blob).catch(() => this.preview(version));
    this.touch(version, picture);
    return picture;
  }

  /** The server's rendition, for files that the browser cannot show or shows the wrong way round. */
  async preview(version: Version): Promise<Picture> {
    const rendition = await this.rendition(version);
    const picture = await decode(rendition).catch(() => {
      throw new Problem("server", "no_preview");
    });
    this.touch(version, picture);
    return picture;
  }

  /** Let go of the pictures that were not shown for longest; the first one (the original) stays for comparing. */
  trim(original: Version): void {
    for (const [version, picture] of this.pictures) {
      if (this.pictures.size <= KEPT) return;
      if (version === original) continue;
      this.pictures.delete(version);
      release(picture);
    }
  }

  clear(): void {
    for (const picture of this.pictures.values()) release(picture);
    this.pictures.clear();
  }

  private async rendition(version: Version): Promise<Blob> {
    const upload = () => version.upload(this.api, () => undefined, new AbortController().signal);
    try {
      return await this.api.preview(version.imageId ?? (await upload()).id);
    } catch (thrown) {
      if (!isForgotten(thrown)) throw thrown;
      version.forgotten();
      return this.api.preview((await upload()).id);
    }
  }

  private touch(version: Version, picture: Picture): void {
    this.pictures.delete(version);
    this.pictures.set(version, picture);
  }
}
