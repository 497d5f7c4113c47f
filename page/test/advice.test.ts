import { describe, expect, it } from "vitest";
import { freeAgain, isAboutAccount, localTime, plansThatHelp, safeAddress } from "../src/account/advice";
import { readFacts, readPlans } from "../src/account/api";
import { Problem } from "../src/problem";

const { plans } = readPlans({
  plans: [
    { id: "free", price: "0.00", calls_a_day: 10, models: ["lama"], features: [], charging: "invoice" },
    { id: "enterprise", price: "499.00", calls_a_day: null, models: [], features: ["all_models", "priority_support"], charging: "invoice" },
    { id: "basic", price: "29.00", calls_a_day: 100, models: ["lama"], features: ["hd_processing"], charging: "credit" },
    { id: "pro", price: "99.00", calls_a_day: 1000, models: ["mat"], features: ["hd_processing"], charging: "invoice" },
  ],
});
const on = (id: string) => readFacts({ mode: "required", plan: { id, price: plans.find((plan) => plan.id === id)?.price, calls_a_day: plans.find((plan) => plan.id === id)?.callsADay } });
const refused = (code: string, facts = {}, retryAfter: number | null = null) => new Problem("server", code, 429, "", "", retryAfter, facts);

describe("the plans that would help", () => {
  it.each([
    ["quota_exhausted", {}, "free", ["basic", "pro", "enterprise"]],
    ["quota_exhausted", {}, "pro", ["enterprise"]],
    ["quota_exhausted", {}, "enterprise", []],
    ["plan_forbids_model", { model: "mat" }, "free", ["pro", "enterprise"]],
    ["plan_forbids_model", { model: "ldm" }, "free", ["enterprise"]],
    ["plan_forbids_feature", { feature: "hd_processing" }, "free", ["basic", "pro"]],
    ["plan_forbids_feature", {}, "free", []],
    ["payment_required", {}, "basic", ["pro", "enterprise"]],
    ["account_disabled", {}, "free", []],
  ])("after %s %j on %s are %j, the cheapest first", (code, facts, plan, expected) => {
    expect(plansThatHelp(refused(code, facts), on(plan), plans).map(({ id }) => id)).toEqual(expected);
  });
});

it("knows refusals that are about the person from those about the photo", () => {
  const problem = (status: number, code: string) => isAboutAccount(new Problem("server", code, status));
  expect([problem(401, "token_expired"), problem(429, "quota_exhausted"), problem(403, "plan_forbids_feature")]).toEqual([true, true, true]);
  expect([problem(429, "rate_limited"), problem(403, "content_blocked"), problem(413, "image_too_large")]).toEqual([false, false, false]);
});

describe("when calls are free again", () => {
  const now = new Date(2026, 10, 24, 22, 15);

  it("goes by the refusal, then by what is known of today", () => {
    const facts = readFacts({ mode: "required", today: { resets_at: "2026-11-25T00:00:00Z" } });
    expect(freeAgain(refused("quota_exhausted", {}, 60), facts, now)).toEqual(new Date(2026, 10, 24, 22, 16));
    expect(freeAgain(refused("quota_exhausted"), facts, now)).toEqual(new Date("2026-11-25T00:00:00Z"));
    expect(freeAgain(refused("quota_exhausted"), readFacts({}), now)).toBeNull();
  });

  it.each([
    [new Date(2026, 10, 24, 23, 5), "atToday", "23:05"],
    [new Date(2026, 10, 25, 0, 0), "atTomorrow", "00:00"],
    [new Date(2026, 10, 24, 23, 59, 59, 700), "atTomorrow", "00:00"],
    [new Date(2026, 10, 25, 8, 0), "atTomorrow", "08:00"],
    [new Date(2026, 10, 27, 8, 0), "atDay", "08:00"],
  ])("says %s by the person's own clock", (at, key, time) => expect(localTime(at, now, "en")).toMatchObject({ key, time }));

  it("names the day where it is further away", () => {
    const at = new Date(2026, 10, 27, 8, 0);
    expect(localTime(at, now, "zh-CN").day).toBe("11月27日星期五");
    expect(localTime(at, now, "en").day).toContain("Friday");
  });
});

it("follows addresses of web pages, and nothing that runs", () => {
  expect(safeAddress("https://checkout.stripe.com/c/pay")).toBe("https://checkout.stripe.com/c/pay");
  expect(safeAddress("http://127.0.0.1:8420/pay")).toBe("http://127.0.0.1:8420/pay");
  for (const url of [null, "", "pay", "//evil.example", "http://evil.example/", "javascript:alert(1)", "data:text/html,x", "blob:https://a/b"]) {
    expect(safeAddress(url), String(url)).toBeNull();
  }
});
