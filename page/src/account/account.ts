/** Who the person is to the server, as it last said. */

import { fromThrown, type Problem } from "../problem";
import type { AccountApi, Facts, PlanList } from "./api";
import type { Credential } from "./credential";

export const NOBODY: Facts = {
  mode: "off", signedIn: false, user: null, scopes: [], plan: null, today: null, credit: null, owed: null,
  subscription: null, payments: null,
};

export class Account {
  facts: Facts = NOBODY;
  private list: PlanList = { currency: "USD", plans: [] };
  private readonly listeners: (() => void)[] = [];
  private turn = 0;

  constructor(
    private readonly api: AccountApi,
    readonly credential: Credential,
  ) {}

  get plans(): PlanList {
    return this.list;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  may(scope: string): boolean {
    return this.facts.scopes.includes(scope);
  }

  /**
   * Never fails: what is not told now stays as it was told last. A key that is no good any more is forgotten, and the
   * problem with it is returned.
   */
  async refresh(): Promise<Problem | null> {
    const turn = (this.turn += 1);
    const sent = this.credential.value;
    let refused: Problem | null = null;
    const facts = await this.api.account().catch((thrown: unknown) => {
      const problem = fromThrown(thrown, "network");
      if (isNarrow(problem)) return narrow(this.facts);
      if (!isRefusal(problem)) return this.facts;
      refused = sent === null ? null : problem;
      return { ...NOBODY, mode: "required" } as const;
    });
    if (turn !== this.turn) return null;
    if (refused !== null && this.credential.value === sent) {
      this.credential.forget();
      await this.refresh(); // what a stranger may do here
      return refused;
    }
    this.facts = facts;
    this.tell();
    return null;
  }

  /** The plans on offer, in the language of now; empty where they cannot be had. */
  async loadPlans(): Promise<PlanList> {
    this.list = await this.api.plans().catch(() => this.list);
    return this.list;
  }

  signIn(credential: string, stay: boolean, facts: Facts): void {
    this.turn += 1;
    this.credential.keep(credential, stay);
    this.facts = facts;
    this.tell();
  }

  signOut(): Promise<Problem | null> {
    this.credential.forget();
    return this.refresh();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** The key is good, but not for looking at the account. */
export function isNarrow({ code }: Problem): boolean {
  return code === "insufficient_scope";
}

/** What is known of somebody whose key may do nothing but erase. */
export function narrow({ mode }: Facts): Facts {
  return { ...NOBODY, mode: mode === "off" ? "required" : mode, signedIn: true };
}

/** The server knows no such key, or lets this person in no more. */
function isRefusal({ status, code }: Problem): boolean {
  return status === 401 || code === "account_disabled";
}
