/** The language in use: chosen by the person, else by the browser. Elements name their words by `data-i18n*`. */

import { languages, tables, type Key, type Language } from "./strings";

export type Values = Readonly<Record<string, string | number>>;

export function pickLanguage(remembered: string | null, offered: readonly string[]): Language {
  const known = languages.find((language) => language === remembered);
  if (known !== undefined) return known;
  for (const tag of offered) {
    const primary = tag.toLowerCase().split("-")[0];
    const language = languages.find((each) => each === primary);
    if (language !== undefined) return language;
  }
  return "en";
}

export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export class Words {
  private readonly listeners: (() => void)[] = [];

  constructor(private current: Language) {}

  get language(): Language {
    return this.current;
  }

  /** What goes into `<html lang>` and `Accept-Language`. */
  get tag(): string {
    return this.current === "zh" ? "zh-CN" : "en";
  }

  set(language: Language): void {
    this.current = language;
    for (const listener of this.listeners) listener();
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  say(key: Key, values?: Values): string {
    return fill(tables[this.current][key], values);
  }

  has(key: string): key is Key {
    return key in tables.en;
  }
}

/** `data-i18n`: the text; `data-i18n-label`: the accessible name and tooltip. `{key}` becomes the platform's shortcut. */
export function translate(root: ParentNode, words: Words, apple: boolean): void {
  for (const element of root.querySelectorAll<HTMLElement>("[data-i18n], [data-i18n-label]")) {
    const values = { key: shortcut(element.dataset["key"] ?? "", apple) };
    const text = element.dataset["i18n"];
    const label = element.dataset["i18nLabel"];
    if (text !== undefined && words.has(text)) element.textContent = words.say(text, values);
    if (label !== undefined && words.has(label)) {
      const name = words.say(label, values);
      element.setAttribute("aria-label", name);
      if (element.matches("button, label, input, a")) element.title = name;
    }
  }
}

function shortcut(key: string, apple: boolean): string {
  if (!apple) return key;
  return key.replace("Ctrl+", "⌘").replace("Shift+", "⇧").replace("Enter", "↩");
}
