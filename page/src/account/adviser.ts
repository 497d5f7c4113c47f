/** A refusal that is about the account, in words, with what would help as buttons. */

import type { Words } from "../i18n";
import type { Advice } from "../notices";
import type { Problem } from "../problem";
import type { Account } from "./account";
import { freeAgain, isAboutAccount, plansThatHelp } from "./advice";
import type { Plan } from "./api";
import { sayMoney, sayWhen } from "./say";

/** More would not be read. */
const MOST = 2;

export class Adviser {
  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly open: () => void,
    private readonly signIn: () => void,
  ) {}

  /** Null where it is not about the account. */
  advise(problem: Problem): Promise<Advice> | null {
    return isAboutAccount(problem) ? this.find(problem) : null;
  }

  private async find(problem: Problem): Promise<Advice> {
    const { words, account } = this;
    const signIn = { label: words.say("signIn"), act: this.signIn };
    if (problem.status === 401) {
      const isUnknown = problem.code === "not_authenticated";
      const sentence = isUnknown ? words.say("errSignIn") : problem.detail || words.say("errSignIn");
      return { sentence, lines: [words.say("errSignInHint")], actions: [signIn] };
    }
    await account.loadPlans();
    const helping = plansThatHelp(problem, account.facts, account.plans.plans).slice(0, MOST);
    const lines = [this.about(problem), ...helping.map((plan) => this.praise(problem, plan))].filter(Boolean);
    const { signedIn, mode } = account.facts;
    const isRights = problem.code === "insufficient_scope" || problem.code === "account_disabled";
    const plans = { label: words.say(signedIn && helping.length > 0 ? "upgrade" : "seePlans"), act: this.open };
    const actions = [
      ...(isRights || mode === "off" ? [] : [plans]),
      ...(isRights || !signedIn ? [signIn] : []),
    ];
    return { sentence: this.sentence(problem), lines, actions };
  }

  private sentence(problem: Problem): string {
    const { words, account } = this;
    if (problem.code !== "quota_exhausted") return problem.detail || words.say("errUnknown", { n: problem.status });
    const said = problem.facts["limit"];
    const limit = typeof said === "number" ? said : account.facts.today?.limit;
    return typeof limit === "number" ? words.say("errQuota", { n: limit }) : words.say("errQuotaPlain");
  }

  private about(problem: Problem): string {
    const { words, account } = this;
    if (problem.code === "quota_exhausted") {
      const at = freeAgain(problem, account.facts, new Date());
      return at === null ? words.say("errSignInHint") : words.say("errQuotaFree", { when: sayWhen(words, at) });
    }
    // Its hint says to change the plan; which one, is said below.
    return problem.code === "payment_required" || problem.code === "account_disabled" ? problem.hint : words.say("errSignInHint");
  }

  private praise(problem: Problem, plan: Plan): string {
    const { words, account } = this;
    const values = { plan: plan.title, price: sayMoney(words, plan.price, account.plans), n: plan.callsADay ?? "" };
    if (problem.code !== "quota_exhausted") return words.say("helpIncludes", values);
    return words.say(plan.callsADay === null ? "helpNoLimit" : "helpCalls", values);
  }
}
