/** Builds everything, once. */

import { createApi } from "./api";
import { App } from "./app";
import { Catalog } from "./catalog";
import { pickLanguage, translate, Words } from "./i18n";
import { Notices } from "./notices";
import { load, save, type Prefs } from "./prefs";
import { Settings } from "./settings";

const store = storage();
let prefs = load(store);
const remember = (change: Partial<Prefs>): void => {
  prefs = { ...prefs, ...change };
  save(store, prefs);
};

const apple = /Mac|iPhone|iPad/.test(navigator.platform);
const words = new Words(pickLanguage(prefs.language, navigator.languages));
const api = createApi(document.baseURI, () => words.tag);

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

const catalog = new Catalog(api);
const settings = new Settings(catalog, words, prefs, remember);
new App(api, words, new Notices(words), settings, catalog, prefs.brush, (brush) => remember({ brush }));

/** Reading `localStorage` throws where the browser forbids it. */
function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
