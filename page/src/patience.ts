/** A server that is full, or is being restarted, says when to come again: the page does so by itself, a few times. */

import type { Api } from "./api";
import { fromThrown, Problem } from "./problem";

/** The next try is at `until`, on the clock of `performance.now()`. */
export interface Wait {
  readonly problem: Problem;
  readonly until: number;
}

/** Told when a wait begins, and `null` when it is over. */
export type Tell = (wait: Wait | null) => void;

const TRIES = 6;
/** The server says at most 72 s. Beyond it nobody keeps watching a countdown: the person is told, and comes back. */
const LONGEST_S = 75;
/** Where the server names no time. */
const USUAL_S = 3;
const PASSING = ["queue_full", "rate_limited", "draining", "storage_unavailable"];

/** Seconds after which it may go better by itself; `null` where it will not, or not soon. */
export function passesIn(problem: Problem, leaving: boolean): number | null {
  const passing = PASSING.includes(problem.code) || (leaving && isAbsent(problem));
  const seconds = problem.retryAfter ?? USUAL_S;
  return passing && seconds <= LONGEST_S ? seconds : null;
}

/** No server, or a proxy that finds none: after `draining` that is the moment between the old one and the new one. */
function isAbsent({ kind, code, status }: Problem): boolean {
  return kind === "network" || (code === "" && (status === 502 || status === 503));
}

/** `attempt` once more, at most `TRIES` times in all, for as long as what it throws passes by itself. */
export async function patiently<T>(attempt: () => Promise<T>, signal: AbortSignal, tell: Tell): Promise<T> {
  let leaving = false;
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return await attempt();
    } catch (thrown) {
      const problem = fromThrown(thrown, "page");
      leaving ||= problem.code === "draining";
      const seconds = passesIn(problem, leaving);
      if (seconds === null || left === 0 || signal.aborted) throw problem;
      tell({ problem, until: performance.now() + seconds * 1000 });
      await pause(seconds * 1000, signal).finally(() => tell(null));
    }
  }
}

/** The same server for somebody who can wait. */
export function patient(api: Api, tell: Tell): Api {
  const lasting = new AbortController().signal;
  return {
    ...api,
    upload: (photo, name, progress, signal) => patiently(() => api.upload(photo, name, progress, signal), signal, tell),
    erase: (imageId, mask, seed, options, signal) =>
      patiently(() => api.erase(imageId, mask, seed, options, signal), signal, tell),
    preview: (imageId) => patiently(() => api.preview(imageId), lasting, tell),
  };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer);
      reject(new Problem("cancelled"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", cancel);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", cancel, { once: true });
  });
}
