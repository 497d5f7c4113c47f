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

/** What made a result, to be done again with another seed. */
interface Task {
  readonly from: Version;
  readonly mask: Blob;
  /** Of the latest variant. */
  seed: number;
}

type Prepare = (version: Version) => Promise<unknown>;
const ready: Prepare = () => Promise.resolve();

export class Session {
  readonly original: Version;
  readonly history: History<Version>;
  /** The version that was last saved; leaving is safe while it is the one on the screen. */
  saved: Version;
  private readonly life = new AbortController();
  private arrival: Promise<ImageInfo> | null = null;
  private readonly tasks = new WeakMap<Version, Task>();

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

  /** The first upload: whoever asks, and however late, hears how that one went, and begins no other. */
  arrive(): Promise<ImageInfo> {
    return (this.arrival ??= this.upload());
  }

  upload(): Promise<ImageInfo> {
    return this.original.upload(this.api, this.progress, this.life.signal);
  }

  /**
   * Erase under `mask` from the current picture; the result becomes the next step of the history, once `prepare` has
   * made it ready to be shown.
   */
  async erase(mask: Blob, options: EraseOptions, signal: AbortSignal, prepare: Prepare = ready): Promise<Erased> {
    const task: Task = { from: this.history.version, mask, seed: 0 };
    const erased = await this.run(task, options, signal);
    const version = this.remember(task, erased);
    await prepare(version);
    this.history.addResult(version);
    return erased;
  }

  /**
   * The erase that made the picture on the screen, with another seed: one more variant of it, picked. Null where the
   * answer is one that is there already: some models know one answer only.
   */
  async again(options: EraseOptions, signal: AbortSignal, prepare: Prepare = ready): Promise<Erased | null> {
    const task = this.tasks.get(this.history.version);
    if (task === undefined) return null;
    task.seed += 1;
    const erased = await this.run(task, options, signal);
    if (await isAmong(erased.blob, this.history.alternatives)) return null;
    const version = this.remember(task, erased);
    await prepare(version);
    this.history.addVariant(version);
    return erased;
  }

  /** The photo is being left: stop what is still being sent. */
  close(): void {
    this.life.abort();
  }

  private remember(task: Task, erased: Erased): Version {
    const version = new Version(erased.blob, this.name, erased.imageId);
    this.tasks.set(version, task);
    return version;
  }

  private async run({ from, mask, seed }: Task, options: EraseOptions, signal: AbortSignal): Promise<Erased> {
    const known = from.imageId !== null;
    try {
      return await this.api.erase(await this.idOf(from, signal), mask, seed, options, signal);
    } catch (thrown) {
      if (!isForgotten(thrown) || !known) throw thrown;
      from.forgotten();
      return this.api.erase(await this.idOf(from, signal), mask, seed, options, signal);
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

async function isAmong(blob: Blob, versions: readonly Version[]): Promise<boolean> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  for (const version of versions) {
    if (version.blob.size !== bytes.length) continue;
    const others = new Uint8Array(await version.blob.arrayBuffer());
    if (bytes.every((byte, index) => byte === others[index])) return true;
  }
  return false;
}
