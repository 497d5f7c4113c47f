/** What an admin is asked before money is booked. Each question has a reference of its own: sent twice, booked once. */

import type { Words } from "../i18n";
import type { Entry, Money, Refund, User } from "./adminApi";
import type { PlanList } from "./api";
import type { Field, Question } from "./asker";
import { sayDate, sayMoney, sayNamed } from "./say";

interface Matter {
  readonly words: Words;
  readonly plans: PlanList;
  readonly user: User;
}

export function moneyQuestion({ words, plans, user }: Matter, book: (money: Money) => Promise<void>): Question {
  const amount = { name: "amount", label: words.say("giveAmount", { currency: plans.currency }), kind: "amount", required: true } as const;
  return {
    title: words.say("giveCreditTitle", { user: user.id }),
    fields: [amount, ...aboutIt(words)],
    yes: words.say("giveCredit"),
    act: ({ amount: given = "", reference = "", note = "" }) => book({ amount: given, reference, note }),
  };
}

/** `waiting`: what is to be paid, in words; empty where nothing is. */
export function paymentQuestion(
  { words, plans, user }: Matter,
  waiting: string,
  book: (money: Money) => Promise<void>,
): Question {
  const label = words.say("amountDue", { currency: plans.currency });
  return {
    title: words.say("markPaidTitle", { user: user.id }),
    text: waiting || words.say("markPaidNone"),
    fields: [{ name: "amount", label, kind: "amount" }, ...aboutIt(words)],
    yes: words.say("markPaid"),
    act: ({ amount = "", reference = "", note = "" }) => book({ ...(amount === "" ? {} : { amount }), reference, note }),
  };
}

export function refundQuestion(
  { words, plans, user }: Matter,
  entry: Entry,
  book: (refund: Refund) => Promise<void>,
): Question {
  const what = [sayNamed(words, "source", entry.source), sayMoney(words, entry.amount, plans), sayDate(words, entry.at)];
  const counts = entry.calls > 0;
  const call: readonly Field[] = counts ? [{ name: "call", label: words.say("refundCall"), kind: "tick", value: "true" }] : [];
  return {
    title: words.say("refundTitle", { user: user.id }),
    text: what.filter(Boolean).join(" · "),
    fields: [
      { name: "amount", label: words.say("giveAmount", { currency: plans.currency }), kind: "amount", value: entry.amount, required: true },
      ...call,
      ...aboutIt(words),
    ],
    yes: words.say("refund"),
    grave: true,
    act: ({ amount = "", call: ticked, reference = "", note = "" }) =>
      book({
        entryId: entry.id,
        ...(amount === entry.amount ? {} : { amount }), // unsaid: all that is left of it
        call: ticked === "true",
        reference,
        note,
      }),
  };
}

function aboutIt(words: Words): readonly Field[] {
  return [
    { name: "reference", label: words.say("reference"), hint: words.say("referenceText"), kind: "text", value: newReference(), required: true },
    { name: "note", label: words.say("note"), kind: "text" },
  ];
}

/** Random where nobody has a better one (`randomUUID` is for safe origins only). */
function newReference(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
