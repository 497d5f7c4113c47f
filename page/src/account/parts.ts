/** What the rooms of the account are made of. */

import { element, icon } from "../dom";
import type { Words } from "../i18n";
import type { Problem } from "../problem";

const COPIED_MS = 1500;

/** `ink`: what one mostly comes for; `main`: what takes something away. */
export function action(label: string, kind: "quiet" | "ink" | "main", name: string, act: () => void): HTMLButtonElement {
  const made = element("button", `button button-${kind}`, label);
  made.type = "button";
  made.dataset["testid"] = name;
  made.addEventListener("click", act);
  return made;
}

export function tagged<T extends HTMLElement>(made: T, name: string): T {
  made.dataset["testid"] = name;
  return made;
}

export function heading(text: string): HTMLElement {
  return element("h3", "", text);
}

export function table(caption: string, heads: readonly string[], rows: readonly (readonly string[])[]): HTMLTableElement {
  const made = element("table", "figures");
  const head = element("tr", "");
  for (const each of heads) {
    const cell = element("th", "", each);
    cell.scope = "col";
    head.append(cell);
  }
  const body = element("tbody", "");
  for (const [first, ...rest] of rows) {
    const name = element("th", "", first ?? "");
    name.scope = "row";
    body.append(element("tr", "", name, ...rest.map((each) => element("td", "", each))));
  }
  made.append(element("caption", "", caption), element("thead", "", head), body);
  return made;
}

/** What to keep, with a button to copy it. Browsers lend the clipboard to safe origins only; elsewhere one touch selects it. */
export function copyable(words: Words, text: string): HTMLElement {
  const line = element("div", "command", tagged(element("code", "", text), "secret"));
  if (navigator.clipboard === undefined) return line;
  const copy = element("button", "tool", icon("copy"));
  const label = (key: "copy" | "copied"): void => {
    copy.setAttribute("aria-label", words.say(key));
    copy.title = words.say(key);
    copy.replaceChildren(icon(key));
  };
  copy.type = "button";
  label("copy");
  copy.addEventListener("click", () => {
    void navigator.clipboard.writeText(text).then(
      () => {
        label("copied");
        setTimeout(() => label("copy"), COPIED_MS);
      },
      () => undefined, // it can still be selected
    );
  });
  line.append(tagged(copy, "copy"));
  return line;
}

/** What went wrong, in one paragraph. */
export function sentenceOf(words: Words, problem: Problem): string {
  if (problem.kind === "network") return words.say("errNetwork");
  if (problem.kind === "timeout") return words.say("errTimeout");
  if (problem.kind === "page") return words.say("errPage");
  const space = words.language === "zh" ? "" : " ";
  return [problem.detail || words.say("errUnknown", { n: problem.status }), problem.hint].filter(Boolean).join(space);
}
