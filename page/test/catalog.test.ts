import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readModels, readWaiting, type Api, type Model } from "../src/api";
import { Catalog, tellLoading } from "../src/catalog";
import { Words } from "../src/i18n";

const models = (...states: readonly string[]): readonly Model[] =>
  readModels({ models: states.map((state, i) => ({ id: `m${i}`, title: `Model ${i}: does it`, state })) });

function catalogOf(answers: (() => Promise<readonly Model[]>)[], waiting = () => Promise.resolve(0)): Catalog {
  const ask = () => (answers.shift() ?? (() => Promise.reject(new Error("gone"))))();
  return new Catalog({ models: ask, waiting } as unknown as Api);
}

describe("Catalog", () => {
  it("keeps what it knows when the server cannot be reached", async () => {
    const catalog = catalogOf([() => Promise.resolve(models("ready"))]);
    await catalog.refresh();
    await catalog.refresh();
    expect(catalog.models).toHaveLength(1);
  });

  it("does not let a slow answer replace a later one", async () => {
    let late: (found: readonly Model[]) => void = () => undefined;
    const catalog = catalogOf([
      () => new Promise((resolve) => (late = resolve)),
      () => Promise.resolve(models("ready", "ready")),
    ]);
    const first = catalog.refresh();
    await catalog.refresh();
    late(models("absent"));
    await first;
    expect(catalog.models).toHaveLength(2);
  });

  it("names models by the part of the title that is a name, and unknown ones by their id", async () => {
    const catalog = catalogOf([() => Promise.resolve(models("ready"))]);
    await catalog.refresh();
    const words = new Words("en");
    expect(["m0", "new", "patch"].map((id) => catalog.nameOf(words, id))).toEqual(["Model 0", "new", "Content-aware fill"]);
  });
});

describe("tellLoading", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("asks nothing while an erase is quick", async () => {
    const ask = vi.fn(() => Promise.resolve(models("loading")));
    const over = new AbortController();
    const told = tellLoading(catalogOf([ask]), "m0", over.signal, () => undefined);
    await vi.advanceTimersByTimeAsync(1400);
    over.abort();
    await told;
    expect(ask).not.toHaveBeenCalled();
  });

  it("tells ever more rarely what is loading until it no longer is", async () => {
    const answers = ["loading", "loading", "ready"].map((state) => () => Promise.resolve(models("loading", state)));
    const over = new AbortController();
    const heard: (string | undefined)[] = [];
    const told = tellLoading(catalogOf(answers), "m1", over.signal, (model) => void heard.push(model?.id));
    await vi.advanceTimersByTimeAsync(4100); // after 1.5, 2.5 and 4 s
    over.abort();
    await told;
    expect(heard).toEqual(["m1", "m1", undefined]);
  });

  it("takes whatever is loading for what auto waits for", async () => {
    const over = new AbortController();
    const heard: (string | undefined)[] = [];
    const answer = () => Promise.resolve(models("ready", "loading"));
    const told = tellLoading(catalogOf([answer]), "auto", over.signal, (model) => void heard.push(model?.id));
    await vi.advanceTimersByTimeAsync(1600);
    over.abort();
    await told;
    expect(heard).toEqual(["m1"]);
  });

  it("knows how many wait, and nobody where the server does not say", async () => {
    const answers = [() => Promise.resolve(models("ready")), () => Promise.resolve(models("ready"))];
    const counts = [() => Promise.resolve(7), () => Promise.reject(new Error("gone"))];
    const catalog = catalogOf(answers, () => (counts.shift() ?? (() => Promise.resolve(0)))());
    await catalog.look();
    expect(catalog.waiting).toBe(7);
    await catalog.look();
    expect(catalog.waiting).toBe(0);
    expect([readWaiting({ queue: { waiting: 3 } }), readWaiting(null), readWaiting({ queue: {} })]).toEqual([3, 0, 0]);
  });
});
