/** The settings popover: which model, how far the mask grows, what is saved, which language. */

import type { Effort, EraseOptions, Growth } from "./api";
import type { Catalog } from "./catalog";
import { Chooser } from "./chooser";
import { box, button, input, need } from "./dom";
import { translate, type Words } from "./i18n";
import type { Prefs } from "./prefs";
import type { Language } from "./strings";

export class Settings {
  private readonly chooser: Chooser;
  private readonly format = need("format", HTMLSelectElement);

  constructor(
    private readonly catalog: Catalog,
    private readonly words: Words,
    private prefs: Prefs,
    private readonly remember: (change: Partial<Prefs>) => void,
    seePlans: () => void,
  ) {
    this.chooser = new Chooser(words, catalog, (chosen) => this.change(chosen), prefs);
    button("models-plans").addEventListener("click", () => {
      box("settings").hidePopover();
      seePlans();
    });
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
      if ((event as ToggleEvent).newState === "open") void catalog.refresh();
    });
    for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
      each.addEventListener("click", () => words.set(each.dataset["language"] as Language));
    }
    catalog.onChange(() => {
      this.dropLostModel();
      this.render();
    });
    words.onChange(() => {
      this.render();
      void catalog.refresh(); // it says in words why a model cannot be used
    });
    this.render();
    void catalog.refresh();
  }

  get options(): EraseOptions {
    const { feather, effort, format } = this.prefs;
    return { ...this.chooser.options, dilate: this.growth, feather, effort, format };
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

  /** A remembered model that is no longer there, or no longer allowed, must not be sent any more. */
  private dropLostModel(): void {
    const { model } = this.prefs;
    if (this.catalog.models === null || model === "auto" || this.catalog.find(model)?.allowed) return;
    this.change({ model: "auto", steps: null });
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
    const { model, steps } = this.prefs;
    this.chooser.render({ model, steps });
  }
}

/** Until the person chooses: how far the painted area grows. */
const GROWTH_BY_DEFAULT: Growth = 0;
/** What `/v1/erase` does when it is not told (documented there). */
const FEATHER_BY_DEFAULT = 0;
