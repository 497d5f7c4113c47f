/** One user in the hands of an admin: plan, rights, keys and money. */

import { element } from "../dom";
import type { Words } from "../i18n";
import type { Account } from "./account";
import type { AdminApi, Entry, User } from "./adminApi";
import type { ApiKey, NewKey } from "./api";
import { keyQuestion, keyRow, revokeQuestion } from "./keys";
import { moneyQuestion, paymentQuestion, refundQuestion } from "./moneyQuestions";
import type { Host } from "./panel";
import { action, heading, tagged } from "./parts";
import { planTitle, sayDate, sayMoney, sayNamed } from "./say";

/** What a user's key may do; an admin's own rights are not given away with it. */
const USER_SCOPES = ["erase", "jobs", "account:read", "account"];

export class UserView {
  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AdminApi,
  ) {}

  async build(id: string, host: Host): Promise<readonly Node[]> {
    const { words, api } = this;
    const [user, keys, ledger] = await Promise.all([api.user(id), api.keys(id), api.ledger(id, null)]);
    const entries = ledger.entries.map((entry) => this.entry(entry, user, host));
    const list = tagged(element("ul", "rows", ...entries), "ledger");
    return [
      this.head(user),
      ...this.waitingCard(user),
      this.acts(user, host),
      heading(words.say("tabKeys")),
      ...this.keys(user, keys, host),
      heading(words.say("bookings")),
      entries.length === 0 ? element("p", "aside", words.say("nothingHere")) : list,
      ...this.further(list, ledger.next, user, host),
    ];
  }

  private head(user: User): HTMLElement {
    const { words, account } = this;
    const title = tagged(element("h3", "user-title", user.id), "user-title");
    if (user.role === "admin") title.append(" ", element("span", "chip-quiet", words.say("isAdmin")));
    if (user.isDisabled) title.append(" ", tagged(element("span", "chip-quiet chip-warn", words.say("isDisabled")), "is-disabled"));
    const money = (key: "owed" | "credit", amount: string | null): string =>
      amount === null || Number(amount) === 0 ? "" : `${words.say(key)}: ${sayMoney(words, amount, account.plans)}`;
    const about = [
      `${words.say("usersPlan")}: ${planTitle(account.plans, user.plan)}`,
      user.email,
      user.createdAt === null ? "" : words.say("userSince", { when: sayDate(words, user.createdAt) }),
      user.usedToday === null ? "" : words.say("usedToday", { n: user.usedToday }),
      money("owed", user.owed),
      money("credit", user.credit),
    ];
    return element("div", "", title, tagged(element("p", "aside", about.filter(Boolean).join(" · ")), "user-facts"));
  }

  private waiting({ due, wantedPlan }: User): string {
    const { words, account } = this;
    if (wantedPlan === null || due === null || Number(due) === 0) return "";
    const price = sayMoney(words, due, account.plans);
    return words.say("markPaidText", { plan: planTitle(account.plans, wantedPlan), price });
  }

  private waitingCard(user: User): readonly Node[] {
    const sentence = this.waiting(user);
    return sentence === "" ? [] : [tagged(element("p", "card card-note", sentence), "waiting-payment")];
  }

  private acts(user: User, host: Host): HTMLElement {
    const { words, account, api } = this;
    const { id } = user;
    const money = { words, plans: account.plans, user };
    const isAdmin = user.role === "admin";
    const pay = action(words.say("markPaid"), user.due !== null && Number(user.due) > 0 ? "ink" : "quiet", "mark-paid", () => {
      void host.ask(paymentQuestion(money, this.waiting(user), (given) => api.payment(id, given)));
    });
    return element(
      "div",
      "row-acts",
      pay,
      action(words.say("giveCredit"), "quiet", "give-credit", () => {
        void host.ask(moneyQuestion(money, (given) => api.credit(id, given)));
      }),
      action(words.say("changePlan"), "quiet", "change-plan", () => this.changePlan(user, host)),
      action(words.say("newKey"), "quiet", "user-key", () => void this.makeKey(id, host)),
      action(words.say(user.isDisabled ? "enable" : "disable"), "quiet", "disable", () => {
        void host.ask({
          title: words.say(user.isDisabled ? "enableTitle" : "disableTitle", { user: id }),
          ...(user.isDisabled ? {} : { text: words.say("disableText") }),
          yes: words.say(user.isDisabled ? "enable" : "disable"),
          grave: !user.isDisabled,
          act: () => api.change(id, { disabled: !user.isDisabled }),
        });
      }),
      action(words.say(isAdmin ? "makeUser" : "makeAdmin"), "quiet", "role", () => {
        void host.ask({
          title: words.say(isAdmin ? "makeUserTitle" : "makeAdminTitle", { user: id }),
          ...(isAdmin ? {} : { text: words.say("makeAdminText") }),
          yes: words.say(isAdmin ? "makeUser" : "makeAdmin"),
          grave: true,
          act: () => api.change(id, { role: isAdmin ? "user" : "admin" }),
        });
      }),
    );
  }

  private changePlan(user: User, host: Host): void {
    const { words, account, api } = this;
    const options = account.plans.plans.map(({ id, title }) => [id, title] as const);
    void host.ask({
      title: words.say("changePlanTitle", { user: user.id }),
      text: words.say("changePlanText"),
      fields: [{ name: "plan", label: words.say("usersPlan"), kind: "select", value: user.plan, options }],
      yes: words.say("changePlan"),
      act: ({ plan = user.plan }) => api.change(user.id, { plan }),
    });
  }

  private async makeKey(id: string, host: Host): Promise<void> {
    let made: NewKey | null = null;
    await host.ask(keyQuestion(this.words, USER_SCOPES, async (wish) => void (made = await this.api.makeKey(id, wish))));
    if (made !== null) await host.showKey(made);
  }

  private keys(user: User, keys: readonly ApiKey[], host: Host): readonly Node[] {
    const { words, api } = this;
    if (keys.length === 0) return [element("p", "aside", words.say("nothingHere"))];
    const rows = keys.map((key) => {
      const revoke = (): void => void host.ask(revokeQuestion(words, key, false, () => api.revokeKey(key.id)));
      const acts = key.revokedAt === null ? [action(words.say("revoke"), "quiet", `revoke-${key.id}`, revoke)] : [];
      const row = keyRow(words, key, false, acts);
      if (key.madeBy !== "" && key.madeBy !== user.id) {
        row.querySelector(".row-facts")?.append(element("small", "", words.say("keyByOther", { who: key.madeBy })));
      }
      return row;
    });
    return [tagged(element("ul", "rows", ...rows), "user-keys")];
  }

  private entry(entry: Entry, user: User, host: Host): HTMLElement {
    const { words, account, api } = this;
    const about = [
      sayDate(words, entry.at),
      entry.originalId === null ? "" : words.say("refunded", { id: entry.originalId }),
      entry.note,
    ];
    const facts = element("div", "row-facts",
      element("b", "", `${sayNamed(words, "source", entry.source)} · ${sayMoney(words, entry.amount, account.plans)}`),
      element("small", "", about.filter(Boolean).join(" · ")));
    const made = tagged(element("li", "row", facts), `entry-${entry.id}`);
    if (entry.isCharge) {
      made.append(
        element("div", "row-acts",
          action(words.say("refund"), "quiet", `refund-${entry.id}`, () => {
            void host.ask(refundQuestion({ words, plans: account.plans, user }, entry, (refund) => api.refund(refund)));
          })),
      );
    }
    return made;
  }

  private further(list: HTMLElement, next: string | null, user: User, host: Host): readonly Node[] {
    if (next === null) return [];
    let after = next;
    const more = action(this.words.say("more"), "quiet", "more-entries", () => {
      more.disabled = true;
      this.api.ledger(user.id, after).then(
        (page) => {
          list.append(...page.entries.map((entry) => this.entry(entry, user, host)));
          more.disabled = false;
          more.hidden = page.next === null;
          after = page.next ?? after;
        },
        (thrown: unknown) => host.run(() => Promise.reject(thrown as Error)),
      );
    });
    return [more];
  }
}
