/** What went wrong, as something that can be said to a person. */

/** `page`: the page itself failed; that is a mistake of ours, not of the person or the server. */
export type Kind = "server" | "network" | "timeout" | "cancelled" | "page";

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
    /** Whatever else the server says about it, such as the model that a plan does not include. */
    readonly facts: Readonly<Record<string, unknown>> = {},
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
    fields,
  );
}

/** The server no longer knows a picture that it was given: its time was over. */
export function isForgotten(thrown: unknown): boolean {
  return thrown instanceof Problem && thrown.status === 404 && thrown.code === "not_found";
}

/** Whatever was thrown; what has no better name becomes `otherwise` (`fetch` throws a TypeError for a lost connection). */
export function fromThrown(thrown: unknown, otherwise: "network" | "page"): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return new Problem("cancelled");
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") return new Problem("timeout");
  const problem = new Problem(otherwise);
  problem.cause = thrown;
  return problem;
}

function parseObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
