/** The question who one is. Whatever was being done waits for the answer. */

import { box, button, input, need } from "../dom";
import type { Words } from "../i18n";
import { fromThrown, type Problem } from "../problem";
import { isNarrow, narrow, type Account } from "./account";
import type { Facts } from "./api";
import { readCredential } from "./credential";
import { sentenceOf } from "./parts";

export class SignIn {
  private readonly dialog = need("sign-in", HTMLDialogElement);
  private readonly key = input("sign-in-key");
  private asking: Promise<boolean> | null = null;
  private isAdmitted = false;

  /** `check` asks the server who a key belongs to, and throws where it is not good. */
  constructor(
    private readonly words: Words,
    private readonly account: Account,
    private readonly check: (credential: string) => Promise<Facts>,
  ) {
    need("sign-in-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    button("sign-in-no").addEventListener("click", () => this.dialog.close());
    button("sign-in-without").addEventListener("click", () => void this.goOnWithout());
    button("sign-in-show").addEventListener("click", () => this.show(this.key.type === "password"));
  }

  /** True once somebody is signed in, or goes on as nobody. Whoever asks meanwhile hears the same answer. */
  ask(problem: Problem | null = null): Promise<boolean> {
    return (this.asking ??= this.open(problem).finally(() => (this.asking = null)));
  }

  private open(problem: Problem | null): Promise<boolean> {
    const { words, dialog, account } = this;
    const isKnown = account.credential.value !== null;
    this.isAdmitted = false;
    this.key.value = "";
    this.show(false);
    input("sign-in-stay").checked = false;
    this.say(isKnown && problem !== null ? sentenceOf(words, problem) : "");
    // Where something was refused, that waits.
    box("sign-in-text").textContent = words.say(problem === null ? "signInText" : "signInKept");
    box("sign-in-plain").hidden = window.isSecureContext;
    button("sign-in-without").hidden = account.facts.mode === "required" || !isKnown;
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => ((this.key.value = ""), resolve(this.isAdmitted)), { once: true });
    });
  }

  private async submit(): Promise<void> {
    const { words, account, dialog } = this;
    const yes = button("sign-in-yes");
    if (yes.disabled) return;
    const credential = readCredential(this.key.value);
    if (credential === null) return this.refuse(words.say("noCredential"));
    yes.disabled = true;
    this.say("");
    yes.textContent = words.say("checking");
    try {
      const facts = await this.check(credential).catch((thrown: unknown) => {
        if (isNarrow(fromThrown(thrown, "page"))) return narrow(account.facts);
        throw thrown;
      });
      if (!facts.signedIn) return this.refuse(words.say("noCredential"));
      account.signIn(credential, input("sign-in-stay").checked, facts);
      this.isAdmitted = true;
      dialog.close();
    } catch (thrown) {
      this.refuse(sentenceOf(words, fromThrown(thrown, "page")));
    } finally {
      yes.disabled = false;
      yes.textContent = words.say("signIn");
    }
  }

  private async goOnWithout(): Promise<void> {
    await this.account.signOut();
    this.isAdmitted = true;
    this.dialog.close();
  }

  private refuse(sentence: string): void {
    this.say(sentence);
    this.key.select();
    this.key.focus();
  }

  private say(sentence: string): void {
    box("sign-in-problem").textContent = sentence;
    this.key.setAttribute("aria-invalid", String(sentence !== ""));
  }

  private show(shown: boolean): void {
    this.key.type = shown ? "text" : "password";
    const label = this.words.say(shown ? "hideIt" : "showIt");
    button("sign-in-show").setAttribute("aria-label", label);
    button("sign-in-show").title = label;
    button("sign-in-show").setAttribute("aria-pressed", String(shown));
  }
}
