import { describe, expect, it, vi } from "vitest";
import { admitted, admitting, type Door } from "../src/account/gate";
import type { Api } from "../src/api";
import { Problem } from "../src/problem";

const unknown = new Problem("server", "not_authenticated", 401);
const open = new AbortController().signal;

/** A person who signs in as `answers` say, one answer a question. */
function doorOf(...answers: (string | null)[]): Door & { asked: Problem[]; counts: number; now: string | null } {
  const door = {
    asked: [] as Problem[],
    counts: 0,
    now: null as string | null,
    credential: () => door.now,
    counted: () => void (door.counts += 1),
    ask: (problem: Problem) => {
      door.asked.push(problem);
      const answer = answers.shift() ?? null;
      if (answer !== null) door.now = answer;
      return Promise.resolve(answer !== null);
    },
  };
  return door;
}

describe("admitted", () => {
  it("goes on with the same once somebody has signed in", async () => {
    const door = doorOf("key");
    const attempt = vi.fn(() => (door.now === null ? Promise.reject(unknown) : Promise.resolve("done")));
    expect(await admitted(attempt, open, door)).toBe("done");
    expect([attempt.mock.calls.length, door.asked]).toEqual([2, [unknown]]);
  });

  it("tells the refusal where the person would rather not say", async () => {
    const door = doorOf(null);
    await expect(admitted(() => Promise.reject(unknown), open, door)).rejects.toBe(unknown);
  });

  it("asks anew for a key that was revoked meanwhile", async () => {
    const door = doorOf("second");
    door.now = "first";
    expect(await admitted(() => (door.now === "first" ? Promise.reject(unknown) : Promise.resolve(1)), open, door)).toBe(1);
    expect(door.asked).toHaveLength(1);
  });

  it("asks nobody where another request has been answered in between", async () => {
    const door = doorOf();
    const attempt = () => {
      if (door.now !== null) return Promise.resolve("done");
      door.now = "key"; // somebody signed in while this one was on its way
      return Promise.reject(unknown);
    };
    expect(await admitted(attempt, open, door)).toBe("done");
    expect(door.asked).toEqual([]);
  });

  it("asks about nothing but who one is", async () => {
    const door = doorOf("key");
    for (const other of [new Problem("server", "quota_exhausted", 429), new Problem("network"), new Problem("server", "x", 403)]) {
      await expect(admitted(() => Promise.reject(other), open, door)).rejects.toBe(other);
    }
    expect(door.asked).toEqual([]);
  });

  it("begins nothing for somebody who left meanwhile", async () => {
    const life = new AbortController();
    const door = doorOf("key");
    const ask = door.ask;
    door.ask = (problem) => (life.abort(), ask(problem));
    const attempt = vi.fn(() => Promise.reject(unknown));
    await expect(admitted(attempt, life.signal, door)).rejects.toMatchObject({ kind: "cancelled" });
    expect(attempt).toHaveBeenCalledTimes(1);
  });
});

it("counts an erase whether or not it went well", async () => {
  const door = doorOf();
  const answers = [Promise.resolve({}), Promise.reject(new Problem("server", "quota_exhausted", 429))];
  answers[1]?.catch(() => undefined);
  const api = admitting({ erase: () => answers.shift() } as unknown as Api, door);
  const erase = () => api.erase("i", new Blob(), 0, {} as never, open);
  await erase();
  await expect(erase()).rejects.toMatchObject({ code: "quota_exhausted" });
  expect(door.counts).toBe(2);
});
