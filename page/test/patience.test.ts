import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { passesIn, patiently, type Wait } from "../src/patience";
import { Problem } from "../src/problem";

const full = (retryAfter: number | null = 2) => new Problem("server", "queue_full", 503, "", "", retryAfter);
const lost = new Problem("network");
const badGateway = new Problem("server", "", 502);

describe("passesIn", () => {
  it.each([
    [full(4), 4],
    [full(null), 3],
    [new Problem("server", "rate_limited", 429, "", "", 75), 75],
    [new Problem("server", "draining", 503, "", "", 5), 5],
    [new Problem("server", "rate_limited", 429, "", "", 76), null],
    [new Problem("server", "quota_exhausted", 429, "", "", 9), null],
    [new Problem("server", "storage_full", 507, "", "", 60), null],
    [new Problem("server", "model_unavailable", 503, "", "", 10), null],
    [new Problem("timeout", "deadline_exceeded", 504), null],
    [lost, null],
    [badGateway, null],
  ])("of %o is %s", (problem, seconds) => expect(passesIn(problem, false)).toBe(seconds));

  it("counts no server as a server that is being replaced, once one has said that it leaves", () => {
    expect([lost, badGateway].map((problem) => passesIn(problem, true))).toEqual([3, 3]);
    expect(passesIn(new Problem("server", "internal", 500), true)).toBeNull();
  });
});

describe("patiently", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function begin(answers: (Problem | string)[], signal = new AbortController().signal) {
    const told: (string | null)[] = [];
    let tries = 0;
    const attempt = (): Promise<string> => {
      const answer = answers[Math.min(tries, answers.length - 1)] ?? "";
      tries += 1;
      return typeof answer === "string" ? Promise.resolve(answer) : Promise.reject(answer);
    };
    const tell = (wait: Wait | null) => void told.push(wait && (wait.problem.code || wait.problem.kind));
    const work = patiently(attempt, signal, tell);
    work.catch(() => undefined);
    return { work, told, tries: () => tries };
  }

  it("tries again when the server said, not before", async () => {
    const { work, told, tries } = begin([full(2), "done"]);
    await vi.advanceTimersByTimeAsync(1990);
    expect(tries()).toBe(1);
    await vi.advanceTimersByTimeAsync(20);
    expect(await work).toBe("done");
    expect(told).toEqual(["queue_full", null]);
  });

  it("gives up after six tries and says why", async () => {
    const { work, told, tries } = begin([full(1)]);
    await vi.advanceTimersByTimeAsync(60_000);
    await expect(work).rejects.toMatchObject({ code: "queue_full" });
    expect(tries()).toBe(6);
    expect(told).toHaveLength(10);
  });

  it("ends at once where waiting is no use", async () => {
    const { work, told, tries } = begin([lost]);
    await expect(work).rejects.toMatchObject({ kind: "network" });
    expect([told, tries()]).toEqual([[], 1]);
  });

  it("waits through a restart: the old server leaves, there is none, the new one answers", async () => {
    const { work, told } = begin([new Problem("server", "draining", 503, "", "", 1), lost, badGateway, "done"]);
    await vi.advanceTimersByTimeAsync(7100);
    expect(await work).toBe("done");
    expect(told).toEqual(["draining", null, "network", null, "server", null]);
  });

  it("can be cancelled while it waits, and asks no more", async () => {
    const running = new AbortController();
    const { work, told, tries } = begin([full(30)], running.signal);
    await vi.advanceTimersByTimeAsync(1000);
    running.abort();
    await expect(work).rejects.toMatchObject({ kind: "cancelled" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([told, tries()]).toEqual([["queue_full", null], 1]);
  });
});
