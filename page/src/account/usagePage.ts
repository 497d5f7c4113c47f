/** What was used in the last 30 days: of one's own account, or of the whole server. */

import { element } from "../dom";
import type { Words } from "../i18n";
import { saveAs } from "../save";
import type { Key } from "../strings";
import type { Account } from "./account";
import type { AccountApi, PlanList, Usage } from "./api";
import type { AdminApi } from "./adminApi";
import type { Host, Page } from "./panel";
import { action, heading, table, tagged } from "./parts";
import { sayMoney } from "./say";
import { usageChart } from "./usageChart";

export class UsagePage implements Page {
  readonly id = "usage";
  readonly title = "tabUsage";

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AccountApi,
  ) {}

  isShown(): boolean {
    return this.account.may("account:read");
  }

  async build(host: Host): Promise<readonly Node[]> {
    const { words, api, account } = this;
    const [days, models] = await Promise.all([api.usage("day"), api.usage("model")]);
    const save = (key: Key, name: string, get: () => Promise<Blob>): HTMLElement =>
      action(words.say(key), "quiet", name, () => host.run(async () => saveAs(await get(), `${name}.csv`)));
    return [
      ...overview(words, days, account.plans),
      ...breakdown(words, "byModel", "model", models, account.plans),
      element("div", "row-acts", save("csvUsage", "usage", api.usageFile), save("csvLedger", "ledger", api.ledgerFile)),
    ];
  }
}

/** The same of all users together. */
export class ServerPage implements Page {
  readonly id = "server";
  readonly title = "tabServer";

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AdminApi,
  ) {}

  isShown(): boolean {
    return this.account.may("admin");
  }

  async build(): Promise<readonly Node[]> {
    const { words, api, account } = this;
    const [days, models, users] = await Promise.all([api.usage("day"), api.usage("model"), api.usage("user")]);
    return [
      ...overview(words, days, account.plans),
      ...breakdown(words, "byUser", "user", users, account.plans),
      ...breakdown(words, "byModel", "model", models, account.plans),
    ];
  }
}

function overview(words: Words, { rows, total }: Usage, plans: PlanList): readonly Node[] {
  const amount = sayMoney(words, total.amount, plans);
  const sum = words.say("usageTotal", { calls: total.calls, cached: total.cached, amount });
  return [heading(words.say("usage30")), tagged(element("p", "aside", sum), "usage-total"), usageChart(words, rows, plans)];
}

function breakdown(words: Words, caption: Key, head: Key, { rows }: Usage, plans: PlanList): readonly Node[] {
  if (rows.length === 0) return [];
  const heads = [words.say(head), words.say("calls"), words.say("fromCache"), words.say("amount")];
  const cells = rows.map((row) => [row.name, String(row.calls), String(row.cached), sayMoney(words, row.amount, plans)]);
  return [tagged(table(words.say(caption), heads, cells), caption)];
}
