/** The server's account routes: who one is, the plan, the calls, the keys. */

import type { Line } from "../request";
import { fieldsOf, listOf, moment, number, numberOrNull, text, textOrNull, texts, type Fields } from "./read";

export type Mode = "off" | "optional" | "required";

export interface Plan {
  readonly id: string;
  readonly title: string;
  /** A month, as a decimal: "29.00". */
  readonly price: string;
  /** `null` for no limit. */
  readonly callsADay: number | null;
  readonly costACall: string;
  readonly features: readonly string[];
  readonly models: readonly string[];
  readonly maxPixels: number | null;
  readonly charging: string;
}

export interface PlanList {
  /** ISO 4217, upper case. */
  readonly currency: string;
  readonly plans: readonly Plan[];
}

export interface Today {
  readonly used: number;
  readonly held: number;
  readonly limit: number | null;
  readonly left: number | null;
  readonly resetsAt: Date | null;
}

export interface Subscription {
  readonly plan: string;
  readonly state: string;
  readonly wantedPlan: string | null;
  /** When the wanted plan begins; `null` where it waits for a payment. */
  readonly wantedAt: Date | null;
  readonly due: string | null;
  readonly periodEnd: Date | null;
  readonly graceUntil: Date | null;
  readonly checkoutUrl: string | null;
}

export interface Facts {
  readonly mode: Mode;
  readonly signedIn: boolean;
  readonly user: { readonly id: string; readonly email: string; readonly role: string } | null;
  readonly scopes: readonly string[];
  readonly plan: Plan | null;
  readonly today: Today | null;
  readonly credit: string | null;
  readonly owed: string | null;
  readonly subscription: Subscription | null;
  readonly payments: string | null;
}

export interface UsageRow {
  /** A day, or the id of a model, a key or a user. */
  readonly name: string;
  readonly calls: number;
  readonly cached: number;
  readonly amount: string;
}

export interface Usage {
  readonly rows: readonly UsageRow[];
  readonly total: UsageRow;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly ending: string;
  readonly scopes: readonly string[];
  readonly madeBy: string;
  readonly createdAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}

/** The only time that the secret is told. */
export interface NewKey {
  readonly name: string;
  readonly key: string;
}

export interface KeyWish {
  readonly name: string;
  readonly scopes: readonly string[];
  /** `null`: until it is revoked. */
  readonly days: number | null;
}

export interface AccountApi {
  account(): Promise<Facts>;
  plans(): Promise<PlanList>;
  usage(by: "day" | "model"): Promise<Usage>;
  usageFile(): Promise<Blob>;
  ledgerFile(): Promise<Blob>;
  keys(): Promise<readonly ApiKey[]>;
  makeKey(wish: KeyWish): Promise<NewKey>;
  rotateKey(id: string, overlapSeconds: number): Promise<NewKey>;
  revokeKey(id: string): Promise<void>;
  subscribe(plan: string): Promise<Subscription>;
  unsubscribe(): Promise<void>;
  /** Where the payment provider shows invoices and cards. */
  portal(): Promise<string>;
}

export function createAccountApi(line: Line): AccountApi {
  const { get, post, remove } = verbs(line);
  const file = async (path: string): Promise<Blob> => (await line.send(path)).blob();
  return {
    account: async () => readFacts(await get("v1/account")),
    plans: async () => readPlans(await get("v1/plans")),
    usage: async (by) => readUsage(await get(`v1/account/usage?by=${by}`), by),
    usageFile: () => file("v1/account/usage?by=day&format=csv"),
    ledgerFile: () => file("v1/account/ledger?limit=200&format=csv"),
    keys: async () => readKeys(await get("v1/keys")),
    makeKey: async (wish) => readNewKey(await post("v1/keys", keyBody(wish))),
    rotateKey: async (id, seconds) =>
      readNewKey(await post(`v1/keys/${encodeURIComponent(id)}/rotate`, { overlap_seconds: seconds })),
    revokeKey: (id) => remove(`v1/keys/${encodeURIComponent(id)}`),
    subscribe: async (plan) => readSubscription(fieldsOf(await post("v1/subscription", { plan }))),
    unsubscribe: () => remove("v1/subscription"),
    portal: async () => text(fieldsOf(await post("v1/billing/portal", {})), "url"),
  };
}

/** Requests with JSON bodies. Nothing of an account belongs into the browser's cache. */
export function verbs(line: Line) {
  const body = async (response: Response): Promise<unknown> => (response.status === 204 ? null : response.json());
  const write = (method: string) => async (path: string, content: unknown): Promise<unknown> =>
    body(await line.send(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) }));
  return {
    get: async (path: string): Promise<unknown> => body(await line.send(path, { cache: "no-store" })),
    post: write("POST"),
    patch: write("PATCH"),
    remove: async (path: string): Promise<void> => void (await line.send(path, { method: "DELETE" })),
  };
}

export function keyBody({ name, scopes, days }: KeyWish): object {
  return { name, scopes, ...(days === null ? {} : { expires_in_days: days }) };
}

const MODES: readonly string[] = ["off", "optional", "required"] satisfies readonly Mode[];

export function readFacts(body: unknown): Facts {
  const fields = fieldsOf(body);
  const user = fieldsOf(fields["user"]);
  const today = fields["today"] ?? null;
  const mode = text(fields, "mode");
  return {
    mode: MODES.includes(mode) ? (mode as Mode) : "off",
    signedIn: fields["signed_in"] === true,
    user: text(user, "id") === "" ? null : { id: text(user, "id"), email: text(user, "email"), role: text(user, "role") },
    scopes: texts(fields, "scopes"),
    plan: text(fieldsOf(fields["plan"]), "id") === "" ? null : readPlan(fieldsOf(fields["plan"])),
    today: today === null ? null : readToday(fieldsOf(today)),
    credit: textOrNull(fields, "credit"),
    owed: textOrNull(fields, "owed"),
    subscription: text(fieldsOf(fields["subscription"]), "state") === "" ? null : readSubscription(fieldsOf(fields["subscription"])),
    payments: textOrNull(fields, "payments"),
  };
}

export function readPlans(body: unknown): PlanList {
  const fields = fieldsOf(body);
  return { currency: (text(fields, "currency") || "usd").toUpperCase(), plans: listOf(fields, "plans", readPlan) };
}

function readPlan(fields: Fields): Plan {
  return {
    id: text(fields, "id"),
    title: text(fields, "title") || text(fields, "id"),
    price: text(fields, "price"),
    callsADay: numberOrNull(fields, "calls_a_day"),
    costACall: text(fields, "cost_a_call"),
    features: texts(fields, "features"),
    models: texts(fields, "models"),
    maxPixels: numberOrNull(fields, "max_pixels"),
    charging: text(fields, "charging"),
  };
}

function readToday(fields: Fields): Today {
  return {
    used: number(fields, "used"),
    held: number(fields, "held"),
    limit: numberOrNull(fields, "limit"),
    left: numberOrNull(fields, "left"),
    resetsAt: moment(fields, "resets_at"),
  };
}

export function readSubscription(fields: Fields): Subscription {
  return {
    plan: text(fields, "plan"),
    state: text(fields, "state"),
    wantedPlan: textOrNull(fields, "wanted_plan"),
    wantedAt: moment(fields, "wanted_at"),
    due: textOrNull(fields, "due"),
    periodEnd: moment(fields, "period_end"),
    graceUntil: moment(fields, "grace_until"),
    checkoutUrl: textOrNull(fields, "checkout_url"),
  };
}

export function readUsage(body: unknown, by: string): Usage {
  const fields = fieldsOf(body);
  const row = (item: Fields): UsageRow => ({
    name: text(item, "name") || text(item, by),
    calls: number(item, "calls"),
    cached: number(item, "cached"),
    amount: text(item, "amount"),
  });
  return { rows: listOf(fields, "rows", row), total: row(fieldsOf(fields["total"])) };
}

export function readKeys(body: unknown): readonly ApiKey[] {
  return listOf(fieldsOf(body), "keys", (fields) => ({
    id: text(fields, "id"),
    name: text(fields, "name"),
    ending: text(fields, "ending"),
    scopes: texts(fields, "scopes"),
    madeBy: text(fields, "made_by"),
    createdAt: moment(fields, "created_at"),
    expiresAt: moment(fields, "expires_at"),
    revokedAt: moment(fields, "revoked_at"),
    lastUsedAt: moment(fields, "last_used_at"),
  }));
}

export function readNewKey(body: unknown): NewKey {
  return { name: text(fieldsOf(body), "name"), key: text(fieldsOf(body), "key") };
}
