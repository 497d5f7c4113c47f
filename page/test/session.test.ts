import { describe, expect, it } from "vitest";
import type { Api, EraseOptions } from "../src/api";
import { Problem } from "../src/problem";
import { Session } from "../src/session";

const options: EraseOptions = {
  model: "auto", dilate: 0, feather: null, effort: "balanced", format: "same", steps: null, prompt: "", negativePrompt: "",
};
const photo = new Blob(["photo"], { type: "image/jpeg" });
const mask = new Blob(["mask"]);

/** A server that counts, knows the uploads of this run, and forgets them when told. */
class FakeServer implements Api {
  uploads: string[] = [];
  erased: string[] = [];
  known = new Set<string>();
  failUploads = 0;
  seeds: number[] = [];
  /** The answer whatever the seed. */
  only: string | null = null;

  async upload(blob: Blob) {
    if (this.failUploads-- > 0) throw new Problem("network");
    const id = `u${this.uploads.length}`;
    this.uploads.push(await blob.text());
    this.known.add(id);
    return { id, width: 4, height: 3 };
  }

  async erase(imageId: string, _mask: Blob, seed: number) {
    if (!this.known.has(imageId)) throw new Problem("server", "not_found", 404);
    this.erased.push(imageId);
    this.seeds.push(seed);
    const id = `r${this.erased.length}`;
    this.known.add(id);
    return { blob: new Blob([this.only ?? id]), contentType: "image/jpeg", imageId: id, model: "patch", notices: [] };
  }

  preview = () => Promise.reject(new Problem("network"));
  models = () => Promise.resolve([]);
  waiting = () => Promise.resolve(0);
}

const erase = (session: Session) => session.erase(mask, options, new AbortController().signal);
const again = (session: Session) => session.again(options, new AbortController().signal);

describe("Session", () => {
  it("uploads the photo once and erases on each result after it", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    await Promise.all([session.upload(), session.upload()]);
    await erase(session);
    await erase(session);
    expect(server.uploads).toEqual(["photo"]);
    expect(server.erased).toEqual(["u0", "r1"]);
  });

  it("uploads again what the server has forgotten, from memory and without a word", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    await erase(session);
    server.known.clear();
    await erase(session);
    expect(server.uploads).toEqual(["photo", "r1"]);
    expect(server.erased).toEqual(["u0", "u1"]);
  });

  it("does not try for ever when the server keeps forgetting", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    await session.upload();
    server.known = { has: () => false, add: () => undefined } as unknown as Set<string>;
    await expect(erase(session)).rejects.toMatchObject({ code: "not_found" });
    expect(session.history.version).toBe(session.original);
  });

  it("tries a failed upload again at the next erase", async () => {
    const server = new FakeServer();
    server.failUploads = 1;
    const session = new Session(server, photo, "a.jpg");
    await expect(session.upload()).rejects.toMatchObject({ kind: "network" });
    await erase(session);
    expect(server.uploads).toEqual(["photo"]);
  });

  it("tells a failed arrival to whoever asks late, and does not send the photo again for that", async () => {
    const server = new FakeServer();
    server.failUploads = 1;
    const session = new Session(server, photo, "a.jpg");
    await expect(session.arrive()).rejects.toMatchObject({ kind: "network" });
    await expect(session.arrive()).rejects.toMatchObject({ kind: "network" });
    expect(server.uploads).toEqual([]);
    await session.upload();
    expect(server.uploads).toEqual(["photo"]);
  });

  it("has unsaved work from an erase until it is saved or undone", async () => {
    const session = new Session(new FakeServer(), photo, "a.jpg");
    expect(session.hasUnsavedWork).toBe(false);
    await erase(session);
    expect(session.hasUnsavedWork).toBe(true);
    session.saved = session.history.version;
    expect(session.hasUnsavedWork).toBe(false);
    await erase(session);
    session.history.undo();
    session.history.undo();
    expect(session.hasUnsavedWork).toBe(false);
  });

  it("can be cancelled while it waits for an upload", async () => {
    const server = new FakeServer();
    server.upload = () => new Promise(() => undefined);
    const session = new Session(server, photo, "a.jpg");
    const running = new AbortController();
    const erasing = session.erase(mask, options, running.signal);
    running.abort();
    await expect(erasing).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("tries again from the picture before the result, each time with another seed", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    await erase(session);
    await again(session);
    await again(session);
    expect(server.erased).toEqual(["u0", "u0", "u0"]);
    expect(server.seeds).toEqual([0, 1, 2]);
    expect(session.history.variants).toEqual({ picked: 2, count: 3 });
    session.history.pick(-2);
    await erase(session);
    expect(server.erased.at(-1)).toBe("r1");
    expect(server.seeds.at(-1)).toBe(0);
  });

  it("goes on with new seeds from whichever variant is picked", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    await erase(session);
    await again(session);
    session.history.pick(-1);
    await again(session);
    expect(server.seeds).toEqual([0, 1, 2]);
  });

  it("says so when an answer is one that is there already", async () => {
    const server = new FakeServer();
    const session = new Session(server, photo, "a.jpg");
    server.only = "the one answer";
    await erase(session);
    expect(await again(session)).toBeNull();
    expect(session.history.variants).toEqual({ picked: 0, count: 1 });
  });

  it("leaves the history as it is when a result cannot be shown", async () => {
    const session = new Session(new FakeServer(), photo, "a.jpg");
    await erase(session);
    const refuse = () => Promise.reject(new Problem("server", "no_preview"));
    await expect(session.again(options, new AbortController().signal, refuse)).rejects.toMatchObject({ code: "no_preview" });
    await expect(session.erase(mask, options, new AbortController().signal, refuse)).rejects.toThrow();
    expect(session.history.variants).toEqual({ picked: 0, count: 1 });
  });

  it("has nothing to try again before the first result", async () => {
    expect(await again(new Session(new FakeServer(), photo, "a.jpg"))).toBeNull();
  });
});
