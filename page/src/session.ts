/** One photo and what became of it: uploaded once, erased many times, uploaded again only when the server forgot it. */

import type { Api, EraseOptions, Erased, ImageInfo } from "./api";
import { History } from "./history";
import { isForgotten, Problem } from "./problem";

/** The original or a result: the exact bytes, and the server's name for them while it remembers. */
export class Version {
  private uploading: Promise<ImageInfo> | null = null;

  constructor(
    readonly blob: Blob,
    readonly name: string,
    public imageId: string | null = null,
  ) {}

  /** Upload unless that has been done; calls at the same time share one upload, and a failed one may be tried again. */
  upload(api: Api, progress: (share: number) => void, signal: AbortSignal): Promise<ImageInfo> {
    this.uploading ??= api.upload(this.blob, this.name, progress, signal).then(
      (info) => {
        this.imageId = info.id;
        return info;
      },
      (problem: unknown) => {
        this.uploading = null;
        throw problem;
      },
    );
    return this.uploading;
  }

  forgotten(): void {
    this.imageId = null;
    this.uploading = null;
  }
}

export class Session {
  readonly original: Version;
  readonly history: History<Version>;
  /** The version that was last saved; leaving is safe while it is the one on the screen. */
  saved: Version;
  private readonly life = new AbortController();

  constructor(
    private readonly api: Api,
    photo: Blob,
    readonly name: string,
    private readonly progress: (share: number) => void = () => undefined,
  ) {
    this.original = new Version(photo, name);
    this.history = new History(this.original);
    this.saved = this.original;
  }

  get hasUnsavedWork(): boolean {
    const version = this.history.version;
    return version !== this.original && version !== this.saved;
  }

  upload(): Promise<ImageInfo> {
    return this.original.upload(this.api, this.progress, this.life.signal);
  }

  /** Erase under `mask` from the current picture; the result becomes the next step of the history. */
  async erase(mask: Blob, options: EraseOptions, signal: AbortSignal): Promise<{ version: Version; erased: Erased }> {
    const from = this.history.version;
    const erased = await this.eraseFrom(from, mask, options, signal);
    const version = new Version(erased.blob, this.name, erased.imageId);
    this.history.push({ kind: "result", version });
    return { version, erased };
  }

  /** The photo is being left: stop what is still being sent. */
  close(): void {
    this.life.abort();
  }

  private async eraseFrom(from: Version, mask: Blob, options: EraseOptions, signal: AbortSignal): Promise<Erased> {
    const known = from.imageId !== null;
    try {
      return await this.api.erase(await this.idOf(from, signal), mask, options, signal);
    } catch (thrown) {
      if (!isForgotten(thrown) || !known) throw thrown;
      from.forgotten();
      return this.api.erase(await this.idOf(from, signal), mask, options, signal);
    }
  }

  private async idOf(version: Version, signal: AbortSignal): Promise<string> {
    if (version.imageId !== null) return version.imageId;
    // Cancelling stops the waiting, not the upload: the next erase will be glad of it.
    const info = await orCancelled(version.upload(this.api, this.progress, this.life.signal), signal);
    return info.id;
  }
}

export function orCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => reject(new Problem("cancelled"));
    if (signal.aborted) cancel();
    signal.addEventListener("abort", cancel, { once: true });
    work.then(resolve, reject);
  });
}
