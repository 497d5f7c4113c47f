/** What the dock says while something is being done: the step, a model that is loaded first, a queue, a wait. */

import { tellLoading, type Catalog } from "./catalog";
import type { Words } from "./i18n";
import type { Wait } from "./patience";
import type { Key } from "./strings";
import type { Tools } from "./tools";

const WAITS: Readonly<Record<string, Key>> = {
  queue_full: "waitBusy",
  rate_limited: "waitTooOften",
  draining: "waitRestarting",
};

export function waitWords(words: Words, { problem }: Wait): string {
  return words.say(problem.kind === "network" || problem.status === 502 ? "waitRestarting" : (WAITS[problem.code] ?? "waitOther"));
}

export class Progress {
  private text = "";
  private waited: Wait | null = null;

  constructor(
    private readonly words: Words,
    private readonly tools: Tools,
    private readonly catalog: Catalog,
  ) {}

  say(key: Key): void {
    this.show(this.words.say(key));
  }

  /** The server asked to come again later; null: it is being asked again. */
  wait(wait: Wait | null): void {
    this.waited = wait;
    this.tools.countDown(wait?.until ?? null);
    this.show(this.text);
  }

  /** Says what is going on while the server works; a model's first time, or a queue, must not look as if it hung. */
  async telling<T>(busy: Key, chosen: string, work: Promise<T>): Promise<T> {
    const { words, catalog } = this;
    const over = new AbortController();
    this.say(busy);
    void tellLoading(catalog, chosen, over.signal, (model) => {
      if (model) this.show(words.say("loadingModel", { model: catalog.nameOf(words, model.id) }));
      else if (catalog.waiting > 0) this.show(words.say("inLine", { n: catalog.waiting }));
      else this.say(busy);
    });
    try {
      return await work;
    } finally {
      over.abort();
    }
  }

  private show(text: string): void {
    this.text = text;
    this.tools.sayBusy(this.waited === null ? text : waitWords(this.words, this.waited));
  }
}
