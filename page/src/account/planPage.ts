/** The plan: what is left of today, what was asked for, and the other plans. */

import { element } from "../dom";
import type { Words } from "../i18n";
import { Problem } from "../problem";
import type { Account } from "./account";
import { safeAddress } from "./advice";
import type { AccountApi, Plan, Subscription, Today } from "./api";
import type { Host, Page } from "./panel";
import { action, tagged } from "./parts";
import { planTitle, sayDate, sayMoney, sayNamed, sayPrice, sayWhen } from "./say";

export class PlanPage implements Page {
  readonly id = "plan";
  readonly title = "tabPlan";

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AccountApi,
    /** Leave the page for another address. */
    private readonly follow: (url: string) => void = (url) => window.location.assign(url),
  ) {}

  isShown(): boolean {
    return this.account.facts.mode !== "off";
  }

  async build(host: Host): Promise<readonly Node[]> {
    const { words, account } = this;
    await Promise.all([account.loadPlans(), account.refresh()]);
    const { facts, plans } = account;
    const nodes: Node[] = [];
    if (facts.today !== null) nodes.push(this.today(facts.today));
    const money = this.money();
    if (money !== null) nodes.push(money);
    if (facts.subscription !== null) nodes.push(...this.subscription(facts.subscription, host));
    const note = facts.signedIn ? [] : [element("p", "aside", words.say("signInForPlans"))];
    const list = element("ul", "plans", ...plans.plans.map((plan) => this.card(plan, host)));
    return [...nodes, ...note, list];
  }

  private today({ used, held, left, limit, resetsAt }: Today): HTMLElement {
    const { words } = this;
    const title = element("h3", "", words.say("callsToday"));
    if (limit === null || left === null) {
      const count = `${words.say("callsUsed", { n: used })} · ${words.say("callsNoLimit")}`;
      return tagged(element("section", "card", title, element("p", "large", count)), "today");
    }
    const meter = element("meter", "meter");
    Object.assign(meter, { min: 0, max: Math.max(limit, 1), value: left });
    meter.setAttribute("aria-hidden", "true"); // the words beside it say the same
    const about = [words.say("callsUsed", { n: used }), ...(held > 0 ? [words.say("callsRunning", { n: held })] : [])];
    const again = resetsAt === null ? "" : words.say("callsFree", { limit, when: sayWhen(words, resetsAt) });
    return tagged(
      element("section", "card", title,
        element("p", "large", words.say("callsLeft", { left, limit })), meter,
        element("small", "", about.join(" · ")), element("small", "", again)),
      "today",
    );
  }

  private money(): HTMLElement | null {
    const { words, account } = this;
    const { owed, credit } = account.facts;
    const rows = [["owed", owed], ["credit", credit]] as const;
    const shown = rows.filter(([, amount]) => amount !== null && Number(amount) !== 0);
    if (shown.length === 0) return null;
    const list = element("dl", "facts-list");
    for (const [key, amount] of shown) {
      const value = element("dd", "", sayMoney(words, amount ?? "", account.plans));
      list.append(element("div", "", element("dt", "", words.say(key)), value));
    }
    return list;
  }

  private subscription(subscription: Subscription, host: Host): readonly Node[] {
    const { words, account, api } = this;
    const { state, wantedPlan, plan } = subscription;
    const sentence = this.standing(subscription);
    if (sentence === "") return [];
    const said = tagged(element("p", "", sentence), "subscription");
    said.setAttribute("role", "status");
    const acts = element("div", "row-acts");
    if (account.may("account") && account.facts.payments === "stripe") {
      acts.append(action(words.say("portal"), "quiet", "portal", () => host.run(async () => this.go(await api.portal()))));
    }
    if (account.may("account")) {
      const asked = wantedPlan !== null;
      const current = account.facts.plan?.id ?? plan;
      const title = planTitle(account.plans, current);
      const text = asked ? "withdrawText" : state === "past_due" ? "cancelPlanNow" : "cancelPlanText";
      acts.append(
        action(words.say(asked ? "withdraw" : "cancelPlan"), "quiet", "cancel-plan", () => {
          void host.ask({
            title: words.say(asked ? "withdrawTitle" : "cancelPlanTitle", { plan: title }),
            text: words.say(text, { plan: title }),
            yes: words.say(asked ? "withdraw" : "cancelPlan"),
            grave: true,
            act: async () => void (await (asked ? api.subscribe(current) : api.unsubscribe())),
          });
        }),
      );
    }
    return [element("section", "card card-row", said, acts)];
  }

  /** What happens with the plan next; empty where nothing does. */
  private standing({ state, wantedPlan, wantedAt, due, plan, periodEnd, graceUntil }: Subscription): string {
    const { words, account } = this;
    const title = (id: string): string => planTitle(account.plans, id);
    if (state === "ended") return "";
    if (state === "past_due") {
      if (graceUntil === null) return words.say("planLateNow");
      return words.say("planLate", { plan: title(plan), when: sayDate(words, graceUntil) });
    }
    if (wantedPlan !== null && wantedAt !== null) {
      return words.say("planFrom", { plan: title(wantedPlan), when: sayDate(words, wantedAt) });
    }
    if (wantedPlan !== null || state === "awaiting_payment") {
      const asked = title(wantedPlan ?? plan);
      if (due === null || Number(due) === 0) return words.say("planAskedFree", { plan: asked });
      const key = account.facts.payments === "stripe" ? "planUnpaid" : "planAsked";
      return words.say(key, { plan: asked, price: sayMoney(words, due, account.plans) });
    }
    return periodEnd === null ? "" : words.say("planRenews", { when: sayDate(words, periodEnd) });
  }

  private card(plan: Plan, host: Host): HTMLElement {
    const { words, account } = this;
    const isCurrent = plan.id === account.facts.plan?.id;
    const { subscription, payments } = account.facts;
    const isWanted = plan.id === subscription?.wantedPlan;
    // Whoever left the payment page without paying may go there again.
    const isUnpaid = isWanted && payments === "stripe" && subscription?.wantedAt === null;
    const head = element("div", "plan-head", element("h3", "", plan.title), element("b", "", sayPrice(words, plan, account.plans)));
    const facts = element("ul", "plan-facts", ...this.given(plan).map((each) => element("li", "", each)));
    const made = tagged(element("li", `card plan${isCurrent ? " is-current" : ""}`, head, facts), `plan-${plan.id}`);
    if (isCurrent) made.append(element("p", "chip-quiet", words.say("currentPlan")));
    else if (account.may("account") && (!isWanted || isUnpaid)) {
      const isUp = Number(plan.price) > Number(account.facts.plan?.price ?? 0);
      const label = words.say("choosePlan", { plan: plan.title });
      made.append(action(label, isUp ? "ink" : "quiet", `choose-${plan.id}`, () => this.choose(plan, isUp, host)));
    }
    return made;
  }

  private given(plan: Plan): readonly string[] {
    const { words, account } = this;
    const { callsADay, costACall, maxPixels, features } = plan;
    const calls = callsADay === null ? words.say("planNoLimit") : words.say("planCalls", { n: callsADay });
    const cost = Number(costACall) === 0 ? [] : [words.say("planCost", { price: sayMoney(words, costACall, account.plans) })];
    const pixels = maxPixels === null ? [] : [words.say("planPixels", { n: Number((maxPixels / 1e6).toFixed(1)) })];
    const named = features.filter((feature) => feature !== "basic_inpaint");
    return [calls, ...cost, ...pixels, ...named.map((feature) => sayNamed(words, "feature", feature))];
  }

  private choose(plan: Plan, isUp: boolean, host: Host): void {
    const { words, account, api } = this;
    const { facts, plans } = account;
    const byCard = facts.payments === "stripe";
    const current = facts.plan?.title ?? "";
    const runs = facts.subscription?.plan === facts.plan?.id && facts.subscription?.periodEnd != null;
    const lines = isUp
      ? [
          words.say("planUpText", { price: sayMoney(words, plan.price, plans) }),
          words.say(byCard ? "planUpStripe" : "planUpManual"),
          ...(byCard && document.body.classList.contains("is-editing") ? [words.say("photoWouldGo")] : []),
        ]
      : [words.say(runs ? "planDownText" : "planDownNow", { plan: current, wanted: plan.title })];
    void host.ask({
      title: words.say("planUpTitle", { plan: plan.title }),
      text: lines.join("\n"),
      yes: words.say(!isUp ? "changeIt" : byCard ? "goToPay" : "askForIt"),
      act: async () => {
        const { checkoutUrl } = await api.subscribe(plan.id);
        if (checkoutUrl !== null) this.go(checkoutUrl);
      },
    });
  }

  private go(url: string): void {
    const address = safeAddress(url);
    if (address === null) throw new Problem("server", "", 502, this.words.say("noAddress"));
    this.follow(address);
  }
}

