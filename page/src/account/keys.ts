/** A key as it is shown and asked about, by its owner and by an admin alike. */

import { element } from "../dom";
import type { Words } from "../i18n";
import type { ApiKey, KeyWish } from "./api";
import type { Question } from "./asker";
import { tagged } from "./parts";
import { sayDate, sayNamed } from "./say";

/** What a program needs, and no more. */
const USUAL = ["erase", "jobs", "account:read"];

export function keyRow(words: Words, key: ApiKey, inUse: boolean, acts: readonly HTMLElement[]): HTMLElement {
  const name = element("b", "", key.name, " ", element("code", "ending", `…${key.ending}`));
  if (inUse) name.append(" ", element("span", "chip-quiet", words.say("keyThis")));
  const about = [
    words.say("keyMade", { when: sayDate(words, key.createdAt) }),
    key.lastUsedAt === null ? words.say("keyUnused") : words.say("keyUsed", { when: sayDate(words, key.lastUsedAt) }),
    standing(words, key),
  ];
  const rights = key.scopes.map((scope) => sayNamed(words, "scope", scope)).join(" · ");
  const facts = element("div", "row-facts", name,
    element("small", "", about.filter(Boolean).join(" · ")), element("small", "", rights));
  const made = tagged(element("li", key.revokedAt === null ? "row" : "row is-over", facts), "key");
  if (acts.length > 0) made.append(element("div", "row-acts", ...acts));
  return made;
}

function standing(words: Words, { revokedAt, expiresAt }: ApiKey): string {
  if (revokedAt !== null) return words.say("keyRevoked", { when: sayDate(words, revokedAt) });
  if (expiresAt === null) return "";
  return words.say(expiresAt.getTime() < Date.now() ? "keyExpired" : "keyUntil", { when: sayDate(words, expiresAt) });
}

export function keyQuestion(words: Words, scopes: readonly string[], make: (wish: KeyWish) => Promise<void>): Question {
  return {
    title: words.say("newKey"),
    fields: [
      { name: "name", label: words.say("keyName"), hint: words.say("keyNameText"), kind: "text", required: true },
      {
        name: "days", label: words.say("keyDays"), kind: "select",
        options: [
          ["", words.say("keyForever")],
          ...["30", "90", "365"].map((n) => [n, words.say("keyForDays", { n })] as const),
        ],
      },
      {
        name: "scopes", label: words.say("keyScopes"), kind: "ticks", value: USUAL.join(" "),
        options: scopes.map((each) => [each, sayNamed(words, "scope", each)]),
      },
    ],
    yes: words.say("makeKey"),
    act: ({ name, days, scopes: ticked }) =>
      make({ name: name ?? "", scopes: (ticked ?? "").split(" ").filter(Boolean), days: days ? Number(days) : null }),
  };
}

export function revokeQuestion(words: Words, key: ApiKey, inUse: boolean, act: () => Promise<void>): Question {
  return {
    title: words.say("revokeTitle", { name: key.name }),
    text: [words.say("revokeText"), ...(inUse ? [words.say("revokeThis")] : [])].join("\n"),
    yes: words.say("revoke"),
    grave: true,
    act,
  };
}
