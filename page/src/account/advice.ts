/** What the account has to do with a refusal, and what would help: pure judgements, no elements. */

import type { Problem } from "../problem";
import type { Facts, Plan } from "./api";

const CODES = [
  "quota_exhausted", "payment_required", "plan_forbids_model", "plan_forbids_feature", "insufficient_scope", "account_disabled",
];

/** The photo and the paint are all right: it is about who asks. */
export function isAboutAccount({ status, code }: Problem): boolean {
  return status === 401 || CODES.includes(code);
}

/** The plans with which it would have gone well, cheapest first. */
export function plansThatHelp(problem: Problem, facts: Facts, plans: readonly Plan[]): readonly Plan[] {
  const helps = plans.filter((plan) => plan.id !== facts.plan?.id && wouldHelp(problem, facts, plan));
  return [...helps].sort((a, b) => Number(a.price) - Number(b.price));
}

function wouldHelp({ code, facts: said }: Problem, { plan: current }: Facts, plan: Plan): boolean {
  switch (code) {
    case "quota_exhausted":
      return plan.callsADay === null || plan.callsADay > (current?.callsADay ?? Infinity);
    case "payment_required":
      return plan.charging === "invoice" && Number(plan.price) >= Number(current?.price ?? 0);
    case "plan_forbids_model":
      return plan.models.includes(String(said["model"])) || plan.features.includes("all_models");
    case "plan_forbids_feature":
      return plan.features.includes(String(said["feature"]));
    default:
      return false;
  }
}

/** When calls are free again, as far as anybody said. */
export function freeAgain(problem: Problem, facts: Facts, now: Date): Date | null {
  if (problem.retryAfter !== null) return new Date(now.getTime() + problem.retryAfter * 1000);
  return facts.today?.resetsAt ?? null;
}

/** "at 08:00", "tomorrow at 08:00", "on Friday, 4 December at 08:00" by the person's own clock: which of the three, and the values. */
export function localTime(at: Date, now: Date, tag: string): { key: "atToday" | "atTomorrow" | "atDay"; time: string; day: string } {
  // A moment such as 23:59:59.7 is midnight to a person.
  const shown = new Date(Math.round(at.getTime() / 60_000) * 60_000);
  const midnight = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(shown) - midnight(now)) / 86_400_000);
  return {
    key: days <= 0 ? "atToday" : days === 1 ? "atTomorrow" : "atDay",
    time: new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(shown),
    day: new Intl.DateTimeFormat(tag, { weekday: "long", day: "numeric", month: "long" }).format(shown),
  };
}

/** Addresses that may be followed out of an answer of the server: web pages, nothing that runs. */
export function safeAddress(url: string | null): string | null {
  if (url === null || !URL.canParse(url)) return null;
  const { protocol, hostname } = new URL(url);
  const isLocal = protocol === "http:" && ["127.0.0.1", "localhost"].includes(hostname);
  return protocol === "https:" || isLocal ? url : null;
}
