/** The settings popover: which model, how far the mask grows, what is saved, which language. */

import type { Api, Effort, EraseOptions, Growth, Model } from "./api";
import { box, element, input, need } from "./dom";
import { translate, type Words } from "./i18n";
import type { Prefs } from "./prefs";
import type { Language } from "./strings";

export class Settings {
  private models: readonly Model[] | null = null;
  private readonly format = need("format", HTMLSelectElement);

  constructor(
    private readonly api: Api,
    private readonly words: Words,
    private prefs: Prefs,
    private readonly remember: (change: Partial<Prefs>) => void,
  ) {
    this.listenToGrowth();
    const feather = input("feather");
    feather.value = String(prefs.feather ?? FEATHER_BY_DEFAULT);
    feather.addEventListener("input", () => this.change({ feather: feather.valueAsNumber }));
    for (const each of document.querySelectorAll<HTMLElement>("[data-effort]")) {
      each.addEventListener("click", () => this.change({ effort: each.dataset["effort"] as Effort }));
    }
    this.format.value = prefs.format;
    if (this.format.value === "") this.format.value = "same";
    this.format.addEventListener("change", () => this.change({ format: this.format.value }));
    box("settings").addEventListener("beforetoggle", (event) => {
      if ((event as ToggleEvent).newState === "open") void this.loadModels();
    });
    for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
      each.addEventListener("click", () => words.set(each.dataset["language"] as Language));
    }
    words.onChange(() => this.render());
    this.render();
  }

  get options(): EraseOptions {
    const { model, feather, effort, format } = this.prefs;
    return { model, dilate: this.growth, feather, effort, format };
  }

  private get growth(): Growth {
    return this.prefs.dilate ?? GROWTH_BY_DEFAULT;
  }

  private change(change: Partial<Prefs>): void {
    this.prefs = { ...this.prefs, ...change };
    this.remember(change);
    this.render();
  }

  /** The slider says how many pixels; touching it ends "auto", and its place is kept while "auto" is on. */
  private listenToGrowth(): void {
    const slider = input("dilate");
    const auto = input("dilate-auto");
    slider.value = this.growth === "auto" ? "0" : String(this.growth);
    slider.addEventListener("input", () => this.change({ dilate: slider.valueAsNumber }));
    auto.addEventListener("change", () => this.change({ dilate: auto.checked ? "auto" : slider.valueAsNumber }));
  }

  private async loadModels(): Promise<void> {
    try {
      this.models = await this.api.models();
      const { model } = this.prefs;
      // A remembered model that is no longer there, or no longer allowed, must not be sent any more.
      const isThere = model === "auto" || this.models.some(({ id, allowed }) => id === model && allowed);
      if (!isThere) this.change({ model: "auto" });
    } catch {
      this.models = null;
    }
    this.render();
  }

  private render(): void {
    const { words } = this;
    translate(box("settings"), words, false);
    const isAuto = this.growth === "auto";
    input("dilate-auto").checked = isAuto;
    input("dilate").classList.toggle("is-idle", isAuto);
    box("dilate-value").textContent = isAuto ? "" : words.say("px", { n: input("dilate").value });
    box("feather-value").textContent = words.say("px", { n: input("feather").value });
    for (const each of document.querySelectorAll<HTMLElement>("[data-effort]")) {
      each.setAttribute("aria-pressed", String(each.dataset["effort"] === this.prefs.effort));
    }
    for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
      each.setAttribute("aria-pressed", String(each.dataset["language"] === words.language));
    }
    this.renderModels();
  }

  private renderModels(): void {
    const { words, models } = this;
    const list = box("models");
    const held = list.contains(document.activeElement);
    const chosen = models === null ? "auto" : this.prefs.model;
    list.replaceChildren(this.choice("auto", words.say("auto"), words.say("autoText"), true, chosen === "auto"));
    for (const model of models ?? []) {
      const about = model.allowed ? this.about(model) : model.whyNot || words.say("notReady");
      const choice = this.choice(model.id, modelName(words, model), about, model.allowed, model.id === chosen);
      choice.title = `${model.title} (${model.licence})`;
      list.append(choice);
    }
    if (models === null) list.append(element("small", "", words.say("modelsUnknown")));
    if (held) list.querySelector<HTMLInputElement>("input:checked")?.focus();
  }

  private about(model: Model): string {
    const word = (kind: string, value: string): string => {
      const key = `${kind}_${value}`;
      return this.words.has(key) ? this.words.say(key) : "";
    };
    return [word("speed", model.speed), word("quality", model.quality)].filter(Boolean).join(" · ");
  }

  private choice(id: string, title: string, about: string, allowed: boolean, checked: boolean): HTMLElement {
    const radio = element("input", "");
    Object.assign(radio, { type: "radio", name: "model", value: id, checked, disabled: !allowed });
    radio.dataset["testid"] = `model-${id}`;
    radio.addEventListener("change", () => this.change({ model: id }));
    const text = element("span", "", element("b", "", title), element("small", "", about));
    return element("label", "model", radio, text);
  }
}

/** Titles read "Name: what it does"; names are proper nouns, except where the page has a word for them. */
export function modelName(words: Words, model: { readonly id: string; readonly title: string }): string {
  const key = `model_${model.id}`;
  return words.has(key) ? words.say(key) : (model.title.split(":")[0] ?? model.id);
}

/** Until the person chooses: how far the painted area grows. */
const GROWTH_BY_DEFAULT: Growth = 0;
/** What `/v1/erase` does when it is not told (documented there). */
const FEATHER_BY_DEFAULT = 0;
