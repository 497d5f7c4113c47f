/** Calls, money and moments as people read them. */

import type { Words } from "../i18n";
import { localTime } from "./advice";
import type { Facts, Plan, PlanList } from "./api";

/** What the account's button says; `short` where there is little room. */
export function sayState(words: Words, facts: Facts, short = false): string {
  const { today, mode, signedIn, user } = facts;
  if (today !== null && today.limit !== null && today.left !== null) {
    return words.say(short ? "callsLeftShort" : "callsLeft", { left: today.left, limit: today.limit });
  }
  if (mode === "required" && !signedIn) return words.say("signIn");
  return user?.id ?? words.say("account");
}

export function sayMoney(words: Words, amount: string, { currency }: PlanList): string {
  return words.say("money", { amount: amount || "0.00", currency });
}

export function sayPrice(words: Words, plan: Plan, list: PlanList): string {
  return Number(plan.price) === 0 ? words.say("free") : words.say("aMonth", { price: sayMoney(words, plan.price, list) });
}

/** "at 08:00", "tomorrow at 08:00". */
export function sayWhen(words: Words, at: Date): string {
  const { key, time, day } = localTime(at, new Date(), words.tag);
  return words.say(key, { time, day });
}

/** "24 Nov 2026", "2026年11月24日". */
export function sayDate(words: Words, at: Date | null): string {
  if (at === null) return "";
  return new Intl.DateTimeFormat(words.language === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium" }).format(at);
}

/** The plan's title where it is on offer; else its id. */
export function planTitle(list: PlanList, id: string): string {
  return list.plans.find((plan) => plan.id === id)?.title ?? id;
}

/** A word for what the server calls `value`, or that itself. */
export function sayNamed(words: Words, kind: string, value: string): string {
  const key = `${kind}_${value}`;
  return words.has(key) ? words.say(key) : value;
}
