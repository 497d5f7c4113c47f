/** The models of the server as it last told them: what they are called, and which of them is being loaded. */

import type { Api, Model } from "./api";
import type { Words } from "./i18n";

export class Catalog {
  /** `null` until the server has told them. */
  models: readonly Model[] | null = null;
  /** Requests that wait for their turn, as the server last said. */
  waiting = 0;
  private readonly listeners: (() => void)[] = [];
  private turn = 0;

  constructor(private readonly api: Api) {}

  /** Never fails: what is not told now stays as it was told last. */
  async refresh(): Promise<void> {
    const turn = (this.turn += 1);
    const models = await this.api.models().catch(() => this.models);
    // A slow answer that was overtaken may be in another language.
    if (turn !== this.turn) return;
    this.models = models;
    for (const listener of this.listeners) listener();
  }

  /** The same, and how many wait. */
  async look(): Promise<void> {
    const [waiting] = await Promise.all([this.api.waiting().catch(() => 0), this.refresh()]);
    this.waiting = waiting;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  find(id: string): Model | undefined {
    return this.models?.find((model) => model.id === id);
  }

  /** The one that an erase by `chosen` may be waiting for: itself, or for "auto" any. */
  loading(chosen: string): Model | undefined {
    return this.models?.find(({ id, state }) => state === "loading" && (chosen === "auto" || chosen === id));
  }

  /** Of a model that the catalogue may not know. */
  nameOf(words: Words, id: string): string {
    return modelName(words, this.find(id) ?? { id, title: id });
  }
}

/** Titles read "Name: what it does"; names are proper nouns, except where the page has a word for them. */
export function modelName(words: Words, model: { readonly id: string; readonly title: string }): string {
  const key = `model_${model.id}`;
  return words.has(key) ? words.say(key) : (model.title.split(":")[0] ?? model.id);
}

/** An erase that takes no longer needs no word about loading, and the server no question. */
const PATIENCE_MS = 1500;
const FIRST_MS = 1000;
/** A server with many who wait has better to do than to answer all of them every second. */
const SLOWER = 1.5;
const LONGEST_MS = 5000;

/** Until `over`, says which model is being loaded for an erase by `chosen`, or that none is any more. */
export async function tellLoading(
  catalog: Catalog,
  chosen: string,
  over: AbortSignal,
  tell: (model: Model | undefined) => void,
): Promise<void> {
  await pause(PATIENCE_MS, over);
  for (let every = FIRST_MS; !over.aborted; every = Math.min(every * SLOWER, LONGEST_MS)) {
    await catalog.look();
    if (over.aborted) return;
    tell(catalog.loading(chosen));
    await pause(every, over);
  }
}

function pause(milliseconds: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    over.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
