import { describe, expect, it } from "vitest";
import { Account } from "../src/account/account";
import { readFacts, readPlans, readSubscription, type AccountApi, type Facts } from "../src/account/api";
import { readLedger, readUserPage } from "../src/account/adminApi";
import { Credential } from "../src/account/credential";
import { Problem } from "../src/problem";

const stranger = readFacts({ mode: "optional", signed_in: false, scopes: ["erase"] });
const alice = readFacts({ mode: "optional", signed_in: true, user: { id: "alice", role: "user" }, scopes: ["erase", "account"] });
const invalid = new Problem("server", "invalid_token", 401, "Not valid.");

function accountOf(kept: string | null, answer: (sent: string | null) => Facts | Problem): Account {
  const credential = new Credential(null, null);
  if (kept !== null) credential.keep(kept, false);
  const ask = () => {
    const said = answer(credential.value);
    return said instanceof Problem ? Promise.reject(said) : Promise.resolve(said);
  };
  return new Account({ account: ask } as unknown as AccountApi, credential);
}

describe("Account", () => {
  it("shows nothing of itself where the server has no accounts, or cannot be asked", async () => {
    for (const answer of [readFacts({ mode: "off" }), new Problem("network"), new Problem("server", "not_found", 404)]) {
      const account = accountOf(null, () => answer);
      expect(await account.refresh()).toBeNull();
      expect(account.facts.mode).toBe("off");
    }
  });

  it("knows a server that lets nobody in without a key", async () => {
    const account = accountOf(null, () => new Problem("server", "not_authenticated", 401));
    expect(await account.refresh()).toBeNull();
    expect(account.facts).toMatchObject({ mode: "required", signedIn: false });
  });

  it("forgets a key that is no good any more, says so, and looks what a stranger may do", async () => {
    const account = accountOf("revoked", (sent) => (sent === null ? stranger : invalid));
    expect(await account.refresh()).toBe(invalid);
    expect(account.credential.value).toBeNull();
    expect(account.facts).toEqual(stranger);
  });

  it("keeps the key through an outage, and what is known", async () => {
    let isDown = false;
    const account = accountOf("good", () => (isDown ? new Problem("server", "storage_unavailable", 503) : alice));
    await account.refresh();
    isDown = true;
    expect(await account.refresh()).toBeNull();
    expect([account.credential.value, account.facts]).toEqual(["good", alice]);
  });

  it("lets in a key that may only erase", async () => {
    const account = accountOf("narrow", () => new Problem("server", "insufficient_scope", 403));
    expect(await account.refresh()).toBeNull();
    expect(account.facts).toMatchObject({ mode: "required", signedIn: true, scopes: [] });
    expect(account.credential.value).toBe("narrow");
  });

  it("does not let a slow answer undo a sign-in", async () => {
    const account = accountOf(null, () => stranger);
    const slow = account.refresh();
    account.signIn("key", false, alice);
    await slow;
    expect(account.facts).toEqual(alice);
  });
});

describe("answers of the server", () => {
  it("are read with limits and without", () => {
    const today = { used: 3, held: 1, limit: 10, left: 6, resets_at: "2026-11-25T00:00:00Z" };
    const facts = readFacts({ mode: "required", signed_in: true, plan: { id: "free", calls_a_day: 10 }, today, owed: "1.30" });
    expect(facts.today).toMatchObject({ used: 3, held: 1, limit: 10, left: 6, resetsAt: new Date("2026-11-25T00:00:00Z") });
    expect(facts).toMatchObject({ owed: "1.30", credit: null, plan: { id: "free", title: "free", callsADay: 10 } });
    expect(readFacts({ mode: "optional", today: { used: 3, limit: null, left: null } }).today).toMatchObject({ limit: null, left: null });
  });

  it.each([null, "", [], 7, { mode: "sideways", plan: 3, today: [], scopes: "admin", user: null }])("survive being %j", (body) => {
    expect(readFacts(body)).toMatchObject({ mode: "off", signedIn: false, user: null, plan: null, scopes: [] });
    expect(readPlans(body).plans).toEqual([]);
    expect(readUserPage(body)).toEqual({ users: [], next: null });
  });

  it("have a wish that waits for its payment", () => {
    expect(readSubscription({ plan: "free", state: "awaiting_payment", wanted_plan: "pro", wanted_at: null, due: "29.00" })).toMatchObject({
      wantedPlan: "pro", wantedAt: null, due: "29.00", checkoutUrl: null,
    });
  });

  it("have users and entries whose ids are text to us", () => {
    expect(readUserPage({ users: [{ id: "a", plan: "pro", disabled_at: "2026-11-24T00:00:00Z" }], next: "a" })).toMatchObject({
      users: [{ id: "a", plan: "pro", isDisabled: true }], next: "a",
    });
    const { entries, next } = readLedger({ entries: [{ id: 7, amount: "0.10", calls: 1, original_id: 3 }], next: 7 });
    expect([entries[0]?.id, entries[0]?.originalId, next]).toEqual(["7", "3", "7"]);
  });
});
