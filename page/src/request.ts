/** What every request of the page says: the language, and who asks. Addresses are relative to the document. */

import { fromThrown, parseProblem } from "./problem";

export interface Line {
  /** The page may live below a root path. */
  address(path: string): string;
  headers(): Record<string, string>;
  /** Throws a Problem for every answer that is none. */
  send(path: string, init?: RequestInit): Promise<Response>;
}

/** `credential`: the key or token to send, or null for none. */
export function createLine(base: string, language: () => string, credential: () => string | null): Line {
  const address = (path: string): string => new URL(path, base).href;

  function headers(): Record<string, string> {
    const value = credential();
    return {
      "Accept-Language": language(),
      ...(value === null ? {} : { Authorization: `Bearer ${value}` }),
    };
  }

  async function send(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(address(path), { ...init, headers: { ...(init.headers as Record<string, string>), ...headers() } });
    } catch (thrown) {
      throw fromThrown(thrown, "network");
    }
    if (response.ok) return response;
    throw parseProblem(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
  }

  return { address, headers, send };
}
