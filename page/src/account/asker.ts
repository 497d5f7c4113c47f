/** One question at a time: what is to be done, what must be known for it, and a way out. */

import { element, need } from "../dom";
import type { Words } from "../i18n";
import { fromThrown } from "../problem";
import { sentenceOf, tagged } from "./parts";

export type Values = Readonly<Record<string, string>>;

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  /** `ticks` has, and gives, the ticked options, joined by spaces. */
  readonly kind: "text" | "email" | "amount" | "select" | "tick" | "ticks";
  readonly value?: string;
  readonly options?: readonly (readonly [value: string, label: string])[];
  readonly required?: boolean;
}

export interface Question {
  readonly title: string;
  readonly text?: string;
  readonly fields?: readonly Field[];
  readonly yes: string;
  /** It takes something away that cannot be had back with a click. */
  readonly grave?: boolean;
  /** Done while the question stands: what goes wrong is told there, and nothing that was typed is lost. */
  act(values: Values): Promise<void>;
}

export class Asker {
  private readonly dialog = need("ask", HTMLDialogElement);

  constructor(private readonly words: Words) {}

  /** True once it is done, false where the person would rather not. */
  ask(question: Question): Promise<boolean> {
    const { words, dialog } = this;
    const form = element("form", "");
    form.method = "dialog";
    form.autocomplete = "off";
    const title = element("h2", "", question.title);
    title.id = "ask-title";
    const problem = tagged(element("p", "trouble"), "ask-problem");
    problem.setAttribute("role", "alert");
    const no = tagged(element("button", "button button-quiet", words.say("cancel")), "ask-no");
    no.type = "button";
    const yes = tagged(element("button", `button ${question.grave ? "button-main" : "button-ink"}`, question.yes), "ask-yes");
    form.append(
      title,
      ...(question.text ?? "").split("\n").filter(Boolean).map((line) => element("p", "", line)),
      ...(question.fields ?? []).map(build),
      problem,
      element("div", "sheet-buttons", no, yes),
    );
    dialog.replaceChildren(form);
    let done = false;
    no.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (yes.disabled) return;
      yes.disabled = true;
      problem.textContent = "";
      question.act(valuesOf(form)).then(
        () => {
          done = true;
          dialog.close();
        },
        (thrown: unknown) => {
          problem.textContent = sentenceOf(words, fromThrown(thrown, "page"));
          yes.disabled = false;
        },
      );
    });
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => (dialog.replaceChildren(), resolve(done)), { once: true });
    });
  }
}

function build(field: Field): HTMLElement {
  const { name, label, hint, kind } = field;
  if (kind === "tick") return tickOf(name, "true", label, field.value === "true");
  if (kind === "ticks") {
    const ticked = (field.value ?? "").split(" ");
    const box = element("fieldset", "field", element("legend", "", label));
    for (const [value, text] of field.options ?? []) box.append(tickOf(name, value, text, ticked.includes(value)));
    return box;
  }
  const control = kind === "select" ? selectOf(field) : inputOf(field);
  control.name = name;
  control.dataset["testid"] = `ask-${name}`;
  const words = [element("b", "", label), ...(hint === undefined ? [] : [element("small", "", hint)])];
  return element("label", "field field-stack", ...words, control);
}

function inputOf({ kind, value, required }: Field): HTMLInputElement {
  const made = element("input", "words");
  made.type = kind === "email" ? "email" : "text";
  made.value = value ?? "";
  made.required = required ?? false;
  // Whatever a browser remembers belongs to this person, and not to whom the question is about.
  made.autocomplete = "off";
  made.spellcheck = false;
  made.maxLength = 254;
  if (kind === "amount") {
    made.inputMode = "decimal";
    made.pattern = "[0-9]{1,10}([.][0-9]{1,5})?";
    made.placeholder = "0.00";
  }
  return made;
}

function selectOf({ options, value }: Field): HTMLSelectElement {
  const made = element("select", "select");
  for (const [each, label] of options ?? []) made.append(new Option(label, each, false, each === value));
  return made;
}

function tickOf(name: string, value: string, label: string, checked: boolean): HTMLElement {
  const tick = tagged(element("input", ""), `ask-${name}-${value}`);
  Object.assign(tick, { type: "checkbox", name, value, checked });
  return element("label", "tick", tick, element("span", "", label));
}

function valuesOf(form: HTMLFormElement): Values {
  const values: Record<string, string> = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string") values[name] = name in values ? `${values[name]} ${value}` : value.trim();
  }
  return values;
}
