/** What went wrong, as something that can be said to a person. */

export type Kind = "server" | "network" | "timeout" | "cancelled";

export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly kind: Kind,
    /** The server's stable code (`queue_full`, `not_found`, ...), or "" when no server answered. */
    readonly code: string = "",
    readonly status: number = 0,
    /** The server's own sentence, already in the person's language. */
    readonly detail: string = "",
    readonly hint: string = "",
    /** Seconds. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || code || kind);
  }
}

/** Read an `application/problem+json` body (RFC 9457); anything else still becomes a Problem. */
export function parseProblem(status: number, body: string, retryAfterHeader: string | null): Problem {
  const fields = parseObject(body);
  const text = (key: string): string => (typeof fields[key] === "string" ? fields[key] : "");
  const retry = typeof fields["retry_after"] === "number" ? fields["retry_after"] : Number(retryAfterHeader ?? NaN);
  return new Problem(
    status === 504 ? "timeout" : "server",
    text("code"),
    status,
    text("detail") || text("title"),
    text("hint"),
    Number.isFinite(retry) && retry > 0 ? Math.ceil(retry) : null,
  );
}

/** Whatever `fetch` or XMLHttpRequest threw. */
export function fromThrown(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return new Problem("cancelled");
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") return new Problem("timeout");
  return new Problem("network");
}

function parseObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
