/** Builds everything, once. */

import { Account } from "./account/account";
import { createAdminApi } from "./account/adminApi";
import { Adviser } from "./account/adviser";
import { createAccountApi } from "./account/api";
import { Asker } from "./account/asker";
import { Credential } from "./account/credential";
import { admitting } from "./account/gate";
import { KeysPage } from "./account/keysPage";
import { Panel, showAccountButton } from "./account/panel";
import { PlanPage } from "./account/planPage";
import { SignIn } from "./account/signIn";
import { ServerPage, UsagePage } from "./account/usagePage";
import { UsersPage } from "./account/usersPage";
import { createApi } from "./api";
import { App } from "./app";
import { Catalog } from "./catalog";
import { pickLanguage, translate, Words } from "./i18n";
import { Notices } from "./notices";
import { load, save, type Prefs } from "./prefs";
import type { Problem } from "./problem";
import { createLine, type Line } from "./request";
import { Settings } from "./settings";

const store = storage("localStorage");
let prefs = load(store);
const remember = (change: Partial<Prefs>): void => {
  prefs = { ...prefs, ...change };
  save(store, prefs);
};

const apple = /Mac|iPhone|iPad/.test(navigator.platform);
const words = new Words(pickLanguage(prefs.language, navigator.languages));
const credential = new Credential(storage("sessionStorage"), store);
const lineOf = (whose: () => string | null): Line => createLine(document.baseURI, () => words.tag, whose);
const line = lineOf(() => credential.value);

function speak(): void {
  document.documentElement.lang = words.tag;
  translate(document, words, apple);
  for (const button of document.querySelectorAll(".language")) {
    button.textContent = words.language === "zh" ? "English" : "中文";
    button.setAttribute("lang", words.language === "zh" ? "en" : "zh-CN");
  }
}

speak();
words.onChange(() => {
  remember({ language: words.language });
  speak();
});
for (const button of document.querySelectorAll(".language")) {
  button.addEventListener("click", () => words.set(words.language === "zh" ? "en" : "zh"));
}
if (apple) for (const key of document.querySelectorAll("kbd.command")) key.textContent = "⌘";

const accountApi = createAccountApi(line);
const account = new Account(accountApi, credential);
const signIn = new SignIn(words, account, (candidate) => createAccountApi(lineOf(() => candidate)).account());
const adminApi = createAdminApi(line);
const pages = [
  new PlanPage(words, account, accountApi),
  new UsagePage(words, account, accountApi),
  new KeysPage(words, account, accountApi),
  new UsersPage(words, account, adminApi),
  new ServerPage(words, account, adminApi),
];
const panel = new Panel(words, account, pages, new Asker(words), signIn);
const enter = (): void => (mustSignIn() ? void signIn.ask() : panel.open());
const mustSignIn = (): boolean => account.facts.mode === "required" && !account.facts.signedIn;
showAccountButton(words, account, enter);

const api = createApi(line);
const catalog = new Catalog(api);
const settings = new Settings(catalog, words, prefs, remember, enter);
const adviser = new Adviser(words, account, enter, () => void signIn.ask());
const notices = new Notices(words, (problem) => adviser.advise(problem));
const door = {
  credential: () => credential.value,
  ask: (problem: Problem) => signIn.ask(problem),
  counted: () => void account.refresh(),
};
new App(admitting(api, door), words, notices, settings, catalog, prefs.brush, (brush) => remember({ brush }));

const meet = async (): Promise<void> => {
  const refused = await account.refresh();
  if (refused !== null) notices.problem(refused);
};
// What may be used depends on who asks.
let known = credential.value;
account.onChange(() => {
  if (known === credential.value) return;
  known = credential.value;
  void catalog.refresh();
});
window.addEventListener("storage", (event) => {
  if (credential.follow(event)) void meet();
});
void meet();

/** Reading it throws where the browser forbids it. */
function storage(kind: "localStorage" | "sessionStorage"): Storage | null {
  try {
    return window[kind];
  } catch {
    return null;
  }
}
