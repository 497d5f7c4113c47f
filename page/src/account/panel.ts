/** The account in a dialog: one page for each subject, as tabs. */

import { box, button, element, need } from "../dom";
import type { Words } from "../i18n";
import { fromThrown } from "../problem";
import type { Key } from "../strings";
import type { Account } from "./account";
import type { NewKey } from "./api";
import type { Asker, Question } from "./asker";
import { showNewKey } from "./newKey";
import { sentenceOf, tagged } from "./parts";
import { sayState } from "./say";
import type { SignIn } from "./signIn";

/** What a page asks of the dialog around it. */
export interface Host {
  /** Asks, and builds the page anew once it is done. */
  ask(question: Question): Promise<boolean>;
  showKey(made: NewKey): Promise<void>;
  /** Does it, tells what goes wrong, and builds the page anew. */
  run(work: () => Promise<void>): void;
  rebuild(): void;
  signIn(): void;
}

export interface Page {
  readonly id: string;
  readonly title: Key;
  isShown(): boolean;
  /** Throws a Problem where it cannot be told. */
  build(host: Host): Promise<readonly Node[]>;
}

export class Panel implements Host {
  private readonly dialog = need("account", HTMLDialogElement);
  private readonly content = box("account-page");
  private current = "";
  private turn = 0;

  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly pages: readonly Page[],
    private readonly asker: Asker,
    private readonly signs: SignIn,
  ) {
    button("account-close").addEventListener("click", () => this.dialog.close());
    button("sign-out").addEventListener("click", () => void this.signOut());
    button("account-sign-in").addEventListener("click", () => this.signIn());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it
    });
    // What is on it is of one person and one moment.
    this.dialog.addEventListener("close", () => this.content.replaceChildren());
    this.listenToArrows();
    for (const source of [account, words]) source.onChange(() => this.renderHead());
    words.onChange(() => this.rebuild());
  }

  open(page = "plan"): void {
    this.current = page;
    this.renderHead();
    if (!this.dialog.open) this.dialog.showModal();
    this.rebuild();
    void this.account.refresh();
  }

  async ask(question: Question): Promise<boolean> {
    const done = await this.asker.ask(question);
    if (done) this.rebuild();
    return done;
  }

  showKey(made: NewKey): Promise<void> {
    return showNewKey(this.words, made);
  }

  run(work: () => Promise<void>): void {
    this.tell("");
    work().then(
      () => this.rebuild(),
      (thrown: unknown) => this.fail(thrown),
    );
  }

  signIn(): void {
    void this.signs.ask().then((admitted) => {
      if (admitted) this.rebuild();
    });
  }

  rebuild(): void {
    if (!this.dialog.open) return;
    const turn = (this.turn += 1);
    const page = this.shown.find(({ id }) => id === this.current) ?? this.shown[0];
    if (page === undefined) return this.dialog.close();
    this.current = page.id;
    this.renderHead();
    this.tell("");
    if (this.content.dataset["page"] !== page.id) this.content.replaceChildren(this.waiting());
    page.build(this).then(
      (nodes) => {
        if (turn !== this.turn || !this.dialog.open) return;
        this.show(page.id, nodes);
      },
      (thrown: unknown) => {
        if (turn !== this.turn) return;
        this.show(page.id, []);
        this.fail(thrown);
      },
    );
  }

  private get shown(): readonly Page[] {
    return this.pages.filter((page) => page.isShown());
  }

  private async signOut(): Promise<void> {
    await this.account.signOut();
    if (this.account.facts.mode === "required") this.dialog.close();
    else this.open("plan");
  }

  /** The part that had the focus keeps it, by its name. */
  private show(page: string, nodes: readonly Node[]): void {
    const { content } = this;
    const held = content.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["testid"] : undefined;
    if (content.dataset["page"] !== page) content.parentElement?.scrollTo(0, 0);
    content.dataset["page"] = page;
    content.replaceChildren(...nodes);
    if (held === undefined) return;
    const same = [...content.querySelectorAll<HTMLElement>("[data-testid]")].find((each) => each.dataset["testid"] === held);
    (same ?? content).focus();
  }

  private fail(thrown: unknown): void {
    const problem = fromThrown(thrown, "page");
    if (problem.kind === "page") console.error(problem.cause);
    this.tell(sentenceOf(this.words, problem));
    if (problem.status === 401) {
      void this.signs.ask(problem).then((admitted) => {
        if (admitted) this.rebuild();
        else void this.account.refresh().then(() => this.rebuild());
      });
    }
  }

  private tell(sentence: string): void {
    box("account-problem").textContent = sentence;
  }

  private waiting(): HTMLElement {
    const spinner = element("span", "spinner");
    spinner.setAttribute("role", "img");
    spinner.setAttribute("aria-label", this.words.say("loading"));
    return element("p", "waiting", spinner);
  }

  private renderHead(): void {
    const { words, account } = this;
    const { facts } = account;
    const { user } = facts;
    box("account-who").textContent = user === null ? words.say(facts.signedIn ? "signedIn" : "notSignedIn") : words.say("signedInAs", { user: user.id });
    button("sign-out").hidden = !facts.signedIn;
    button("account-sign-in").hidden = facts.signedIn;
    const tabs = box("account-tabs");
    const held = tabs.contains(document.activeElement);
    tabs.replaceChildren(...this.shown.map((page) => this.tab(page)));
    if (held) tabs.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
    this.content.setAttribute("aria-labelledby", `tab-${this.current}`);
  }

  private tab({ id, title }: Page): HTMLElement {
    const isCurrent = id === this.current;
    const made = tagged(element("button", "mode", this.words.say(title)), `tab-${id}`);
    made.type = "button";
    made.id = `tab-${id}`;
    made.setAttribute("role", "tab");
    made.setAttribute("aria-selected", String(isCurrent));
    made.setAttribute("aria-controls", "account-page");
    made.tabIndex = isCurrent ? 0 : -1;
    made.addEventListener("click", () => this.turnTo(id));
    return made;
  }

  private turnTo(id: string): void {
    this.current = id;
    this.renderHead();
    box(`tab-${id}`).focus();
    this.rebuild();
  }

  private listenToArrows(): void {
    box("account-tabs").addEventListener("keydown", (event) => {
      const ids = this.shown.map(({ id }) => id);
      const steps: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowLeft: -1 };
      const at = ids.indexOf(this.current);
      const next =
        event.key === "Home" ? ids[0]
        : event.key === "End" ? ids.at(-1)
        : ids[(at + (steps[event.key] ?? NaN) + ids.length) % ids.length];
      if (next === undefined) return;
      event.preventDefault();
      this.turnTo(next);
    });
  }
}

/** The discreet button in the bar, and its row in the settings, where a phone's bar has no room for it. */
export function showAccountButton(words: Words, account: Account, open: () => void): void {
  const render = (): void => {
    const { facts } = account;
    const state = sayState(words, facts);
    for (const id of ["account-open", "account-row"]) {
      button(id).hidden = facts.mode === "off";
      const name = words.say("accountNamed", { state });
      button(id).setAttribute("aria-label", name);
      button(id).title = name;
    }
    box("account-words").textContent = state;
    box("account-short").textContent = sayState(words, facts, true);
    box("account-row-words").textContent = state;
  };
  button("account-open").addEventListener("click", open);
  button("account-row").addEventListener("click", () => {
    box("settings").hidePopover();
    open();
  });
  for (const source of [account, words]) source.onChange(render);
  render();
}
