/** The account's own keys: made, replaced and revoked. */

import { element } from "../dom";
import type { Words } from "../i18n";
import type { Account } from "./account";
import type { AccountApi, ApiKey, NewKey } from "./api";
import { keyQuestion, keyRow, revokeQuestion } from "./keys";
import type { Host, Page } from "./panel";
import { action, tagged } from "./parts";

const DAY = 86_400;

export class KeysPage implements Page {
  readonly id = "keys";
  readonly title = "tabKeys";

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AccountApi,
  ) {}

  isShown(): boolean {
    return this.account.facts.signedIn && this.account.may("account:read");
  }

  async build(host: Host): Promise<readonly Node[]> {
    const { words, account, api } = this;
    const keys = await api.keys();
    const nodes: Node[] = [element("p", "aside", words.say("keysText"))];
    if (account.may("account")) {
      nodes.push(action(words.say("newKey"), "ink", "new-key-open", () => void this.make(host)));
    }
    const list = keys.map((key) => keyRow(words, key, this.isInUse(key), this.acts(key, host)));
    if (list.length === 0) return [...nodes, element("p", "aside", words.say("nothingHere"))];
    return [...nodes, tagged(element("ul", "rows", ...list), "keys")];
  }

  private async make(host: Host): Promise<void> {
    const { words, account, api } = this;
    let made: NewKey | null = null;
    const scopes = account.facts.scopes.filter((scope) => scope !== "admin");
    await host.ask(keyQuestion(words, scopes, async (wish) => void (made = await api.makeKey(wish))));
    if (made !== null) await host.showKey(made);
  }

  private acts(key: ApiKey, host: Host): readonly HTMLElement[] {
    if (!this.account.may("account") || key.revokedAt !== null) return [];
    const { words } = this;
    return [
      action(words.say("rotate"), "quiet", `rotate-${key.id}`, () => void this.rotate(key, host)),
      action(words.say("revoke"), "quiet", `revoke-${key.id}`, () => void this.revoke(key, host)),
    ];
  }

  private async rotate(key: ApiKey, host: Host): Promise<void> {
    const { words, account, api } = this;
    const inUse = this.isInUse(key);
    let made: NewKey | null = null;
    await host.ask({
      title: words.say("rotateTitle", { name: key.name }),
      text: words.say("rotateText"),
      fields: [{
        name: "overlap", label: words.say("rotateOverlap"), kind: "select", value: String(DAY),
        options: [
          ["0", words.say("overlapNone")],
          ["3600", words.say("overlapHour")],
          [String(DAY), words.say("overlapDay")],
          [String(7 * DAY), words.say("overlapWeek")],
        ],
      }],
      yes: words.say("rotate"),
      act: async ({ overlap }) => {
        made = await api.rotateKey(key.id, Number(overlap));
        if (inUse) account.credential.replace(made.key);
      },
    });
    if (made !== null) await host.showKey(made);
  }

  private async revoke(key: ApiKey, host: Host): Promise<void> {
    const { words, account, api } = this;
    const inUse = this.isInUse(key);
    const question = revokeQuestion(words, key, inUse, () => api.revokeKey(key.id));
    if ((await host.ask(question)) && inUse) {
      await account.signOut();
      host.rebuild();
    }
  }

  /** As far as four characters tell. */
  private isInUse(key: ApiKey): boolean {
    const { value } = this.account.credential;
    return value !== null && value.startsWith("eras_") && key.ending !== "" && value.endsWith(key.ending);
  }
}
