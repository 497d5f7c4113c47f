/** What the browser remembers for the person. A browser that forbids storage simply forgets. */

import { efforts, type Effort, type Growth } from "./api";

export interface Prefs {
  readonly language: string | null;
  readonly model: string;
  /** `null`: never chosen, so whatever the page thinks best. */
  readonly dilate: Growth | null;
  readonly feather: number | null;
  readonly effort: Effort;
  readonly format: string;
  /** Of the chosen model's sampler; `null` for its own number. */
  readonly steps: number | null;
  /** Screen pixels. */
  readonly brush: number;
}

const KEY = "magic-eraser";
const DEFAULTS: Prefs = {
  language: null,
  model: "auto",
  dilate: null,
  feather: null,
  effort: "balanced",
  format: "same",
  steps: null,
  brush: 44,
};

export type Store = Pick<Storage, "getItem" | "setItem">;

export function load(store: Store | null): Prefs {
  try {
    return sane(JSON.parse(store?.getItem(KEY) ?? "{}") as unknown);
  } catch {
    return DEFAULTS;
  }
}

export function save(store: Store | null, prefs: Prefs): void {
  try {
    store?.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // Private mode or a full store: the choice holds until the page closes.
  }
}

const MOST_STEPS = 1000;

/** What was typed or stored, as the server takes it: 1 to 1000, or `null` for the model's own number. */
export function wholeSteps(value: number | null): number | null {
  if (value === null || !Number.isFinite(value) || value <= 0) return null;
  return Math.min(MOST_STEPS, Math.max(1, Math.round(value)));
}

/** Only values of the right type are taken from the store: it may hold anything, for example from an older page. */
function sane(stored: unknown): Prefs {
  const from: Record<string, unknown> = typeof stored === "object" && stored !== null ? { ...stored } : {};
  const number = (key: string): number | null => {
    const value = from[key];
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
  };
  const string = (key: string): string | null => (typeof from[key] === "string" ? from[key] : null);
  return {
    language: string("language"),
    model: string("model") ?? DEFAULTS.model,
    dilate: from["dilate"] === "auto" ? "auto" : number("dilate"),
    feather: number("feather"),
    effort: efforts.find((each) => each === from["effort"]) ?? DEFAULTS.effort,
    format: string("format") ?? DEFAULTS.format,
    steps: wholeSteps(number("steps")),
    brush: number("brush") ?? DEFAULTS.brush,
  };
}
