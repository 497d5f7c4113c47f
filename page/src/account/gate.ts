/** A server that asks who calls: the page asks the person, and goes on with what it was about to do. */

import type { Api } from "../api";
import { fromThrown, Problem } from "../problem";

export interface Door {
  /** What is sent at the moment. */
  credential(): string | null;
  /** Ask the person; false where they would rather not say. */
  ask(problem: Problem): Promise<boolean>;
  /** Something was asked for that may count. */
  counted(): void;
}

/** `attempt`, and once more each time that the person has signed in. */
export async function admitted<T>(attempt: () => Promise<T>, signal: AbortSignal, door: Door): Promise<T> {
  for (;;) {
    const sent = door.credential();
    try {
      return await attempt();
    } catch (thrown) {
      const problem = fromThrown(thrown, "page");
      if (problem.status !== 401 || signal.aborted) throw problem;
      // Somebody else's request may have asked meanwhile.
      if (door.credential() === sent && !(await door.ask(problem))) throw problem;
      if (signal.aborted) throw new Problem("cancelled");
    }
  }
}

/** The same server for somebody who may yet have to say who they are. */
export function admitting(api: Api, door: Door): Api {
  const lasting = new AbortController().signal;
  return {
    ...api,
    upload: (photo, name, progress, signal) => admitted(() => api.upload(photo, name, progress, signal), signal, door),
    erase: (imageId, mask, seed, options, signal) =>
      admitted(() => api.erase(imageId, mask, seed, options, signal), signal, door).finally(() => door.counted()),
    preview: (imageId) => admitted(() => api.preview(imageId), lasting, door),
  };
}
