/** The operator's routes: all users, their plans, keys and money, and what the whole server did. */

import type { Line } from "../request";
import { keyBody, readNewKey, readUsage, readKeys, verbs, type ApiKey, type KeyWish, type NewKey, type Usage } from "./api";
import { fieldsOf, listOf, moment, number, numberOrNull, text, textOrNull, type Fields } from "./read";

export interface User {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly plan: string;
  readonly isDisabled: boolean;
  readonly createdAt: Date | null;
  readonly usedToday: number | null;
  readonly credit: string | null;
  readonly owed: string | null;
  /** What waits to be marked as paid. */
  readonly due: string | null;
  readonly wantedPlan: string | null;
}

export interface UserPage {
  readonly users: readonly User[];
  /** Where the next page begins; `null` on the last one. */
  readonly next: string | null;
}

export interface Entry {
  readonly id: string;
  readonly at: Date | null;
  readonly source: string;
  readonly calls: number;
  readonly amount: string;
  readonly note: string;
  /** Something was charged for: that can be refunded. */
  readonly isCharge: boolean;
  readonly originalId: string | null;
}

export interface UserChange {
  readonly plan?: string;
  readonly role?: string;
  readonly disabled?: boolean;
}

export interface Money {
  readonly amount?: string;
  /** By which the server knows a request that was sent twice. */
  readonly reference: string;
  readonly note: string;
}

export interface Refund extends Money {
  readonly entryId: string;
  /** The call counts no more, either. */
  readonly call: boolean;
}

export interface AdminApi {
  users(search: string, after: string | null): Promise<UserPage>;
  user(id: string): Promise<User>;
  addUser(id: string, email: string, plan: string): Promise<void>;
  change(id: string, change: UserChange): Promise<void>;
  keys(id: string): Promise<readonly ApiKey[]>;
  makeKey(id: string, wish: KeyWish): Promise<NewKey>;
  revokeKey(id: string): Promise<void>;
  ledger(id: string, after: string | null): Promise<{ entries: readonly Entry[]; next: string | null }>;
  credit(id: string, money: Money): Promise<void>;
  payment(id: string, money: Money): Promise<void>;
  refund(refund: Refund): Promise<void>;
  usage(by: "day" | "model" | "user"): Promise<Usage>;
}

export function createAdminApi(line: Line): AdminApi {
  const { get, post, patch, remove } = verbs(line);
  const path = (id: string, rest = ""): string => `v1/admin/users/${encodeURIComponent(id)}${rest}`;
  const page = (after: string | null): string => `limit=50${after === null ? "" : `&after=${encodeURIComponent(after)}`}`;
  return {
    users: async (search, after) =>
      readUserPage(await get(`v1/admin/users?${page(after)}${search === "" ? "" : `&search=${encodeURIComponent(search)}`}`)),
    user: async (id) => readUser(fieldsOf(await get(path(id)))),
    addUser: async (id, email, plan) => void (await post("v1/admin/users", { id, plan, ...(email === "" ? {} : { email }) })),
    change: async (id, change) => void (await patch(path(id), change)),
    keys: async (id) => readKeys(await get(path(id, "/keys"))),
    makeKey: async (id, wish) => readNewKey(await post(path(id, "/keys"), keyBody(wish))),
    revokeKey: (id) => remove(`v1/admin/keys/${encodeURIComponent(id)}`),
    ledger: async (id, after) => readLedger(await get(path(id, `/ledger?${page(after)}`))),
    credit: async (id, money) => void (await post(path(id, "/credit"), money)),
    payment: async (id, money) => void (await post(path(id, "/payments"), money)),
    refund: async ({ entryId, ...rest }) => void (await post("v1/admin/refunds", { entry_id: entryId, ...rest })),
    usage: async (by) => readUsage(await get(`v1/admin/usage?by=${by}`), by),
  };
}

/** The accounts of the ledger that calls and plans pay into. */
const CHARGES = ["revenue", "fees"];

export function readUserPage(body: unknown): UserPage {
  const fields = fieldsOf(body);
  return { users: listOf(fields, "users", readUser), next: idOf(fields, "next") };
}

function readUser(fields: Fields): User {
  const subscription = fieldsOf(fields["subscription"]);
  const plan = fields["plan"];
  return {
    id: text(fields, "id"),
    email: text(fields, "email"),
    role: text(fields, "role"),
    plan: typeof plan === "string" ? plan : text(fieldsOf(plan), "id"),
    isDisabled: fields["disabled"] === true || moment(fields, "disabled_at") !== null,
    createdAt: moment(fields, "created_at"),
    usedToday: numberOrNull(fieldsOf(fields["today"]), "used"),
    credit: textOrNull(fields, "credit"),
    owed: textOrNull(fields, "owed"),
    due: textOrNull(subscription, "due"),
    wantedPlan: textOrNull(subscription, "wanted_plan"),
  };
}

export function readLedger(body: unknown): { entries: readonly Entry[]; next: string | null } {
  const fields = fieldsOf(body);
  const entry = (item: Fields): Entry => ({
    id: idOf(item, "id") ?? "",
    at: moment(item, "at"),
    source: text(item, "source"),
    calls: number(item, "calls"),
    amount: text(item, "amount"),
    note: text(item, "note"),
    isCharge: CHARGES.includes(text(item, "to")),
    originalId: idOf(item, "original_id"),
  });
  return { entries: listOf(fields, "entries", entry), next: idOf(fields, "next") };
}

/** Ids are text to us, whether or not the server counts. */
function idOf(fields: Fields, key: string): string | null {
  const value = fields[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}
