/** The settings' first field: which model erases, which ones could if they had what they lack, and how it is asked. */

import type { EraseOptions, Model } from "./api";
import { modelName, type Catalog } from "./catalog";
import { fileSize, findCommand } from "./command";
import { box, element, icon, input, need } from "./dom";
import type { Words } from "./i18n";
import { wholeSteps, type Prefs } from "./prefs";

/** Everything is there but the right plan. */
function isForbidden({ allowed, whyCode }: Model): boolean {
  return !allowed && whyCode === "plan";
}

/** So many models and "auto" leave room for the other settings; with more, the list waits to be opened. */
const FEW = 5;
const COPIED_MS = 1500;

type Chosen = Pick<Prefs, "model" | "steps">;

export class Chooser {
  private readonly steps = input("steps");
  private readonly prompt = need("prompt", HTMLTextAreaElement);
  private readonly negative = need("negative-prompt", HTMLTextAreaElement);
  private hasOpened = false;

  constructor(
    private readonly words: Words,
    private readonly catalog: Catalog,
    private readonly choose: (chosen: Chosen) => void,
    private chosen: Chosen,
  ) {
    this.steps.addEventListener("change", () => {
      this.choose({ model: this.chosen.model, steps: wholeSteps(Number.parseFloat(this.steps.value)) });
      this.showSteps();
    });
  }

  /** Only what the chosen model heeds. */
  get options(): Pick<EraseOptions, "model" | "steps" | "prompt" | "negativePrompt"> {
    const { model, steps } = this.chosen;
    const facts = this.catalog.find(model);
    const prompts = facts?.prompt === true;
    return {
      model,
      steps: typeof facts?.steps === "number" ? steps : null,
      prompt: prompts ? this.prompt.value.trim() : "",
      negativePrompt: prompts ? this.negative.value.trim() : "",
    };
  }

  render(chosen: Chosen): void {
    this.chosen = chosen;
    const { words, catalog } = this;
    const models = catalog.models ?? [];
    const usable = models.filter(({ allowed }) => allowed);
    const model = catalog.models === null ? "auto" : chosen.model;
    if (!this.hasOpened && catalog.models !== null) {
      this.hasOpened = true;
      need("chooser", HTMLDetailsElement).open = usable.length <= FEW;
    }
    box("model-chosen").textContent = model === "auto" ? words.say("auto") : catalog.nameOf(words, model);
    this.renderUsable(usable, model);
    this.renderForbidden(models.filter(isForbidden));
    this.renderLacking(models.filter((each) => !each.allowed && !isForbidden(each)));
    this.renderAsking(catalog.find(model));
  }

  private renderUsable(usable: readonly Model[], chosen: string): void {
    const { words } = this;
    const list = box("models");
    const held = list.contains(document.activeElement);
    const auto = [element("b", "", words.say("auto")), element("small", "", words.say("autoText"))];
    list.replaceChildren(this.choice("auto", chosen === "auto", ...auto));
    for (const model of usable) {
      const choice = this.choice(model.id, model.id === chosen, ...this.facts(model));
      choice.title = model.title;
      list.append(choice);
    }
    if (this.catalog.models === null) list.append(element("small", "", words.say("modelsUnknown")));
    box("in-memory-legend").hidden = !usable.some(({ state }) => state === "ready");
    if (held) list.querySelector<HTMLInputElement>("input:checked")?.focus();
  }

  /** They are here, and could be chosen with another plan. */
  private renderForbidden(forbidden: readonly Model[]): void {
    const { words } = this;
    box("forbidden").hidden = forbidden.length === 0;
    box("forbidden-count").textContent = words.say(forbidden.length === 1 ? "forbiddenOne" : "forbidden", { n: forbidden.length });
    box("forbidden-list").replaceChildren(
      ...forbidden.map((model) => {
        const chip = element("span", "chip-quiet", words.say("notInPlan"));
        const item = element("li", "lack", element("div", "model-facts", ...this.facts(model), chip));
        item.title = model.whyNot;
        item.dataset["testid"] = `forbidden-${model.id}`;
        return item;
      }),
    );
  }

  private choice(id: string, checked: boolean, ...facts: HTMLElement[]): HTMLElement {
    const radio = element("input", "");
    Object.assign(radio, { type: "radio", name: "model", value: id, checked });
    radio.dataset["testid"] = `model-${id}`;
    // The number of steps is of one model and means nothing to another.
    radio.addEventListener("change", () => this.choose({ model: id, steps: null }));
    return element("label", "model", radio, element("span", "model-facts", ...facts));
  }

  /** Two lines: name and licence, then what to expect. */
  private facts(model: Model): HTMLElement[] {
    const { words } = this;
    const name = element("b", "", modelName(words, model));
    if (model.state === "ready") {
      const dot = element("i", "in-memory");
      dot.setAttribute("role", "img");
      dot.setAttribute("aria-label", words.say("inMemory"));
      name.append(dot);
    }
    const head = element("span", "model-head", name, element("small", "", model.licence));
    const word = (kind: string, value: string): string => {
      const key = `${kind}_${value}`;
      return words.has(key) ? words.say(key) : "";
    };
    const about = [
      word("speed", model.speed),
      word("quality", model.quality),
      model.added ? words.say("added") : "",
      model.downloadBytes > 0 ? words.say("toDownload", { size: fileSize(model.downloadBytes) }) : "",
    ];
    return [head, element("small", "", about.filter(Boolean).join(" · "))];
  }

  private renderLacking(lacking: readonly Model[]): void {
    const { words } = this;
    box("lacking").hidden = lacking.length === 0;
    box("lacking-count").textContent = words.say(lacking.length === 1 ? "lackingOne" : "lacking", { n: lacking.length });
    box("lacking-list").replaceChildren(
      ...lacking.map((model) => {
        const { before, command } = findCommand(model.whyNot || words.say("notReady"));
        const item = element("li", "lack", element("div", "model-facts", ...this.facts(model)), element("p", "", before));
        if (command !== "") item.append(this.command(command));
        item.dataset["testid"] = `lacking-${model.id}`;
        return item;
      }),
    );
  }

  /** Browsers lend the clipboard to safe origins only; elsewhere one touch selects the whole command. */
  private command(text: string): HTMLElement {
    const line = element("div", "command", element("code", "", text));
    if (navigator.clipboard === undefined) return line;
    const copy = element("button", "tool", icon("copy"));
    const label = (key: "copy" | "copied"): void => {
      copy.setAttribute("aria-label", this.words.say(key));
      copy.title = this.words.say(key);
      copy.replaceChildren(icon(key));
    };
    copy.type = "button";
    label("copy");
    copy.addEventListener("click", () => {
      void navigator.clipboard.writeText(text).then(() => {
        label("copied");
        setTimeout(() => label("copy"), COPIED_MS);
      });
    });
    line.append(copy);
    return line;
  }

  /** What the chosen model can be told, and what to expect of its first time. */
  private renderAsking(model: Model | undefined): void {
    const { words } = this;
    const hint =
      model?.state === "failed" ? words.say("loadFailed")
      : model?.state === "absent" && model.loads ? words.say("loadsFirst")
      : "";
    box("model-hint").textContent = hint;
    box("model-hint").hidden = hint === "";
    for (const id of ["prompt-field", "negative-prompt-field"]) box(id).hidden = model?.prompt !== true;
    const steps = model?.steps ?? null;
    box("steps-field").hidden = steps === null;
    this.steps.placeholder = steps === null ? "" : String(steps);
    if (document.activeElement !== this.steps) this.showSteps(); // not while a number is being typed
  }

  private showSteps(): void {
    this.steps.value = String(this.chosen.steps ?? "");
  }
}
