/** The operator's view of all users: found, added, and one of them looked at. */

import { element, icon } from "../dom";
import type { Words } from "../i18n";
import type { Account } from "./account";
import type { AdminApi, User } from "./adminApi";
import type { Host, Page } from "./panel";
import { action, tagged } from "./parts";
import { planTitle } from "./say";
import { UserView } from "./userView";

export class UsersPage implements Page {
  readonly id = "users";
  readonly title = "tabUsers";
  private search = "";
  private chosen: string | null = null;
  private readonly view: UserView;

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly api: AdminApi,
  ) {
    this.view = new UserView(words, account, api);
  }

  isShown(): boolean {
    return this.account.may("admin");
  }

  async build(host: Host): Promise<readonly Node[]> {
    await this.account.loadPlans();
    if (this.chosen === null) return this.list(host);
    const back = action(this.words.say("back"), "quiet", "back", () => this.choose(null, host));
    back.prepend(icon("left"));
    return [element("div", "row-acts", back), ...(await this.view.build(this.chosen, host))];
  }

  private choose(id: string | null, host: Host): void {
    this.chosen = id;
    host.rebuild();
  }

  private async list(host: Host): Promise<readonly Node[]> {
    const { words, api } = this;
    const first = await api.users(this.search, null);
    const list = tagged(element("ul", "rows", ...first.users.map((user) => this.row(user, host))), "users");
    const more = action(words.say("more"), "quiet", "more-users", () => {
      const after = more.dataset["after"] ?? null;
      more.disabled = true;
      api.users(this.search, after).then(
        (page) => {
          list.append(...page.users.map((user) => this.row(user, host)));
          showMore(page.next);
        },
        (thrown: unknown) => host.run(() => Promise.reject(thrown as Error)),
      );
    });
    const showMore = (next: string | null): void => {
      more.disabled = false;
      more.hidden = next === null;
      more.dataset["after"] = next ?? "";
    };
    showMore(first.next);
    const nobody = first.users.length === 0 ? [element("p", "aside", words.say("noUsers"))] : [];
    return [this.head(host), ...nobody, list, more];
  }

  private head(host: Host): HTMLElement {
    const { words } = this;
    const field = tagged(element("input", "words"), "search-users");
    Object.assign(field, { type: "search", value: this.search, placeholder: words.say("searchUsers"), autocomplete: "off" });
    field.setAttribute("aria-label", words.say("searchUsers"));
    field.addEventListener("change", () => {
      this.search = field.value.trim();
      host.rebuild();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") field.dispatchEvent(new Event("change"));
    });
    return element("div", "search", field, action(words.say("addUser"), "ink", "add-user", () => void this.add(host)));
  }

  private async add(host: Host): Promise<void> {
    const { words, account, api } = this;
    let added = "";
    const done = await host.ask({
      title: words.say("addUser"),
      fields: [
        { name: "id", label: words.say("userId"), hint: words.say("userIdText"), kind: "text", required: true },
        { name: "email", label: words.say("email"), kind: "email" },
        { name: "plan", label: words.say("usersPlan"), kind: "select", options: account.plans.plans.map(({ id, title }) => [id, title]) },
      ],
      yes: words.say("addUser"),
      act: async ({ id = "", email = "", plan = "" }) => {
        await api.addUser(id, email, plan);
        added = id;
      },
    });
    if (done) this.choose(added, host);
  }

  private row(user: User, host: Host): HTMLElement {
    const { words, account } = this;
    const about = [
      planTitle(account.plans, user.plan),
      user.email,
      user.role === "admin" ? words.say("isAdmin") : "",
      user.isDisabled ? words.say("isDisabled") : "",
    ];
    const open = tagged(element("button", "row-open"), `user-${user.id}`);
    open.type = "button";
    const facts = element("span", "row-facts", element("b", "", user.id), element("small", "", about.filter(Boolean).join(" · ")));
    open.append(facts, icon("right"));
    open.addEventListener("click", () => this.choose(user.id, host));
    return element("li", user.isDisabled ? "row is-over" : "row", open);
  }
}
