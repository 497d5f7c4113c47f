/** Sentences that do not stop anybody: errors (`role=alert`) and quiet notes. */

import { box, element, icon } from "./dom";
import type { Words } from "./i18n";
import type { Problem } from "./problem";
import type { Key } from "./strings";

const NOTE_MS = 7000;
const WHISPER_MS = 3200;

/** What a refusal means to this person, and what they can do about it. */
export interface Advice {
  readonly sentence: string;
  readonly lines: readonly string[];
  readonly actions: readonly { readonly label: string; act(): void }[];
}

/** What the page says in its own words, since the server's speak of headers. */
const PASSING: Readonly<Record<string, Key>> = {
  queue_full: "errBusy",
  rate_limited: "errTooOften",
  draining: "errRestarting",
};
const ABOUT_ONE_RESULT = ["rough_result", "fell_back"];

function whenAgain(words: Words, seconds: number | null): string {
  if (seconds === null) return words.say("errBusyHintSoon");
  if (seconds < 120) return words.say("errBusyHint", { n: seconds });
  return words.say("errBusyHintMinutes", { n: Math.ceil(seconds / 60) });
}

export class Notices {
  private readonly list = box("notices");
  private readonly whisperBox = box("whisper");
  private readonly told = new Set<string>();
  private timer = 0;

  constructor(
    private readonly words: Words,
    /** Null where there is none. */
    private readonly advise: (problem: Problem) => Promise<Advice> | null = () => null,
  ) {}

  /** Stays until it is closed or the next attempt begins. */
  error(sentence: string, hint = ""): void {
    this.clearErrors();
    const text = element("p", "", element("strong", "", sentence));
    if (hint !== "") text.append(element("span", "", hint));
    this.add("is-error", "alert", text);
  }

  problem(problem: Problem): void {
    if (problem.kind === "cancelled") return this.whisper(this.words.say("cancelled"));
    if (problem.kind === "page") console.error(problem.cause);
    const advice = this.advise(problem);
    if (advice !== null) return void advice.then((given) => this.advice(given));
    const [sentence, hint] = this.sentences(problem);
    this.error(sentence, hint);
  }

  private advice({ sentence, lines, actions }: Advice): void {
    this.clearErrors();
    const buttons = actions.map(({ label, act }, index) => {
      const made = element("button", `button ${index === 0 ? "button-ink" : "button-quiet"}`, label);
      made.type = "button";
      made.addEventListener("click", () => {
        this.clearErrors();
        act();
      });
      return made;
    });
    const said = lines.map((line) => element("span", "line", line));
    const text = element("div", "notice-words", element("p", "", element("strong", "", sentence), ...said));
    if (buttons.length > 0) text.append(element("div", "notice-acts", ...buttons));
    this.add("is-error", "alert", text);
  }

  /** The server's codes, and the name of the model that ran: what a format could not carry is told once a photo, what is about one result every time. */
  notes(codes: readonly string[], model: string): void {
    for (const code of new Set(codes)) {
      if (this.told.has(code) && !ABOUT_ONE_RESULT.includes(code)) continue;
      this.told.add(code);
      const key = `note_${code}`;
      const text = this.words.has(key) ? this.words.say(key, { model }) : this.words.say("noteOther", { code });
      const notice = this.add("is-info", "status", element("p", "", text));
      setTimeout(() => notice.remove(), NOTE_MS);
    }
  }

  forgetNotes(): void {
    this.told.clear();
  }

  whisper(text: string): void {
    this.whisperBox.textContent = text;
    this.whisperBox.classList.add("is-heard");
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.whisperBox.classList.remove("is-heard"), WHISPER_MS);
  }

  hush(): void {
    this.whisperBox.classList.remove("is-heard");
  }

  clearErrors(): void {
    for (const notice of this.list.querySelectorAll(".is-error")) notice.remove();
  }

  private sentences({ kind, code, status, detail, hint, retryAfter }: Problem): [string, string] {
    const { words } = this;
    if (kind === "network") return [words.say("errNetwork"), words.say("errNetworkHint")];
    if (kind === "timeout") return [words.say("errTimeout"), words.say("errTimeoutHint")];
    if (kind === "page") return [words.say("errPage"), words.say("errPageHint")];
    if (code === "no_preview") return [words.say("errNoPreview"), ""];
    const passing = PASSING[code];
    if (passing !== undefined) {
      const when = whenAgain(words, retryAfter);
      return [words.say(passing), when];
    }
    return [detail || words.say("errUnknown", { n: status }), hint];
  }

  private add(kind: string, role: string, text: HTMLElement): HTMLElement {
    const close = element("button", "tool", icon("close"));
    close.type = "button";
    close.setAttribute("aria-label", this.words.say("close"));
    const notice = element("div", `notice ${kind}`, text, close);
    notice.setAttribute("role", role);
    notice.dataset["testid"] = kind === "is-error" ? "error" : "note";
    close.addEventListener("click", () => notice.remove());
    this.list.append(notice);
    return notice;
  }
}
