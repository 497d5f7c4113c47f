/** The conductor: a photo comes in, is painted on, erased from, compared and taken home. */

import { isAboutAccount } from "./account/advice";
import type { Api, Erased, ImageInfo } from "./api";
import { Arrivals } from "./arrivals";
import type { Catalog } from "./catalog";
import { box, input } from "./dom";
import type { Words } from "./i18n";
import { listenForPhotos } from "./intake";
import { listenForKeys } from "./keyboard";
import { askToLeave, leaveDialog } from "./leave";
import { isEmpty, rasterise } from "./mask";
import { erasedName } from "./names";
import type { Notices } from "./notices";
import type { Wait } from "./patience";
import type { Picture } from "./picture";
import { encodePng } from "./png";
import { fromThrown, type Problem } from "./problem";
import { Progress } from "./progress";
import { saveAs } from "./save";
import { orCancelled, Session, type Version } from "./session";
import type { Settings } from "./settings";
import { Shelf } from "./shelf";
import { Stage } from "./stage";
import { clampBrush, scaled, type Stroke } from "./stroke";
import { Tools } from "./tools";
import type { Size } from "./viewport";

export class App {
  private session: Session | null = null;
  private shelf: Shelf;
  /** Of the photo as the server counts it; the browser's own count until the server has answered. */
  private image: Size = { width: 1, height: 1 };
  /** The photo is on the server and its size is known. */
  private ready: Promise<void> = Promise.resolve();
  private running: AbortController | null = null;
  /** Counts showings, so that a slow one that was overtaken knows it. */
  private turn = 0;
  private readonly stage: Stage;
  private readonly tools: Tools;
  private readonly progress: Progress;

  constructor(
    api: Api,
    private readonly words: Words,
    private readonly notices: Notices,
    private readonly settings: Settings,
    private readonly catalog: Catalog,
    brush: number,
    private readonly rememberBrush: (diameter: number) => void,
  ) {
    this.shelf = new Shelf(api);
    const setBrush = (diameter: number): void => this.setBrush(diameter);
    this.stage = new Stage({
      stroke: (stroke) => this.addStroke(stroke),
      brush: setBrush,
      zoom: (scale) => this.tools?.showZoom(scale),
    });
    const commands = {
      erase: () => void this.erase(),
      cancel: () => this.running?.abort(),
      again: () => void this.again(),
      pick: (by: number) => this.pick(by),
      clear: () => this.clear(),
      undo: () => this.travel("undo"),
      redo: () => this.travel("redo"),
      download: () => this.download(),
      newPhoto: () => input("file").click(),
      compare: () => this.compare(!this.stage.compare.isOn),
      original: (shown: boolean) => this.showOriginal(shown),
      mode: (mode: Stroke["mode"]) => this.setMode(mode),
      sizing: (active: boolean) => (active ? this.stage.showBrush() : this.stage.placeRing(null)),
      zoom: (factor: number) => this.stage.zoom(factor),
      fit: () => this.stage.fit(),
      escape: () => (this.running === null ? this.compare(false) : this.running.abort()),
      space: (held: boolean) => {
        this.stage.spaceHeld = held;
        this.stage.placeRing();
      },
    };
    this.tools = new Tools(words, { ...commands, brush: setBrush });
    this.progress = new Progress(words, this.tools, catalog);
    listenForKeys(() => this.session !== null && !leaveDialog().open, {
      ...commands,
      brush: (factor) => this.setBrush(this.stage.brush * factor),
    });
    const arrivals = new Arrivals(api, words, notices, {
      mayEnter: () => this.mayLeave(),
      enter: (session, shelf, picture, waiting) => this.enter(session, shelf, picture, waiting),
      sending: (session, share) => {
        if (session === this.session) this.tools.showSending(share);
      },
      waiting: (session, wait) => this.waiting(session, wait),
    });
    listenForPhotos((file) => void arrivals.open(file));
    window.addEventListener("beforeunload", (event) => {
      if (this.session?.hasUnsavedWork) event.preventDefault();
    });
    this.setBrush(brush);
  }

  // --- a photo comes in -------------------------------------------------------------------------------------

  private async mayLeave(): Promise<boolean> {
    const may = !this.session?.hasUnsavedWork || (await askToLeave());
    if (may) this.running?.abort();
    return may;
  }

  private enter(session: Session, shelf: Shelf, picture: Picture, waiting: Wait | null): void {
    const previous = this.shelf;
    this.session?.close();
    this.session = session;
    this.progress.wait(waiting);
    this.shelf = shelf;
    this.image = picture.natural;
    this.notices.forgetNotes();
    document.body.classList.add("is-editing");
    box("start").hidden = true;
    box("editor").hidden = false;
    this.stage.open(picture, this.image);
    // Only now: until here the stage could still draw them.
    previous.clear();
    this.setMode("paint");
    this.notices.whisper(this.words.say("firstHint"));
    this.ready = this.settle(session, session.arrive());
    this.ready.catch((thrown: unknown) => {
      if (this.session === session) this.uploadFailed(fromThrown(thrown, "page"));
    });
  }

  /** Wait for the upload, then go by the server's idea of the photo's size. */
  private async settle(session: Session, upload: Promise<ImageInfo>): Promise<void> {
    const info = await upload;
    if (this.session !== session) return;
    const { width, height } = this.image;
    if (info.width === width && info.height === height) return;
    const factor = info.width / width;
    const sameShape = Math.abs(info.height / (height * factor) - 1) < 0.01;
    if (sameShape) session.history.rescaleStrokes((stroke) => scaled(stroke, factor));
    else session.history.clear();
    this.image = { width: info.width, height: info.height };
    this.stage.takeBack();
    const picture = await this.shelf.preview(session.original);
    if (this.session !== session) return;
    this.stage.replaceOriginal(picture, this.image);
    this.show();
  }

  /** The server will never take this photo: back to the start. Anything else may go better at the next try. */
  private uploadFailed(problem: Problem): void {
    this.tools.showSending(null);
    if (problem.kind === "cancelled") return;
    const isRefused = problem.status >= 400 && problem.status < 500 && ![408, 429].includes(problem.status);
    if (isRefused && !isAboutAccount(problem)) this.leave();
    this.notices.problem(problem);
  }

  /** Of the photo that is here; an upload may wait before anybody presses anything. */
  private waiting(session: Session, wait: Wait | null): void {
    if (session !== this.session) return;
    if (wait !== null) this.tools.showSending(null);
    this.progress.wait(wait);
  }

  private leave(): void {
    this.running?.abort();
    this.session?.close();
    this.session = null;
    document.body.classList.remove("is-editing");
    box("editor").hidden = true;
    box("start").hidden = false;
  }

  // --- painting ---------------------------------------------------------------------------------------------

  private addStroke(stroke: Stroke): void {
    this.notices.hush();
    this.session?.history.addStroke(stroke);
    this.show();
  }

  private clear(): void {
    if (this.running !== null || !this.session?.history.strokes.length) return;
    this.session.history.clear();
    this.show();
  }

  private travel(way: "undo" | "redo"): void {
    if (this.running !== null || this.session === null) return;
    this.session.history[way]();
    this.show();
  }

  private pick(by: number): void {
    if (this.running !== null || !this.session?.history.variants) return;
    this.session.history.pick(by);
    this.show();
  }

  private setBrush(diameter: number): void {
    this.stage.brush = clampBrush(diameter);
    this.tools.showBrush(this.stage.brush);
    this.stage.placeRing();
    this.rememberBrush(this.stage.brush);
  }

  private setMode(mode: Stroke["mode"]): void {
    this.stage.mode = mode;
    this.tools.showMode(mode);
    this.compare(false);
    this.stage.placeRing();
  }

  // --- erasing ----------------------------------------------------------------------------------------------

  private async erase(): Promise<void> {
    const { session, words, notices } = this;
    if (session === null || this.running !== null) return;
    notices.clearErrors();
    if (session.history.strokes.length === 0) return notices.whisper(words.say("firstHint"));
    await this.work(session, async (signal) => {
      await this.whenReady(session, signal);
      this.progress.say("working");
      const mask = rasterise(session.history.strokes, this.image.width, this.image.height);
      if (isEmpty(mask)) {
        notices.error(words.say("errOutside"), words.say("errOutsideHint"));
        return null;
      }
      const { options } = this.settings;
      const prepare = (version: Version) => this.shelf.get(version);
      return this.progress.telling("working", options.model, session.erase(await encodePng(mask), options, signal, prepare));
    });
  }

  private async again(): Promise<void> {
    const { session, words, notices } = this;
    if (session === null || this.running !== null || session.history.variants === null) return;
    notices.clearErrors();
    await this.work(session, async (signal) => {
      const { options } = this.settings;
      const prepare = (version: Version) => this.shelf.get(version);
      const erased = await this.progress.telling("againBusy", options.model, session.again(options, signal, prepare));
      if (erased === null && this.session === session) notices.whisper(words.say("sameAgain"));
      return erased;
    });
  }

  /** Have something done that can be cancelled, and show what came of it; null for nothing. */
  private async work(session: Session, task: (signal: AbortSignal) => Promise<Erased | null>): Promise<void> {
    const running = (this.running = new AbortController());
    this.compare(false);
    const seconds = this.startBusy();
    try {
      const erased = await task(running.signal);
      if (erased !== null && this.session === session) await this.reveal(erased, seconds());
    } catch (thrown) {
      if (this.session === session) this.notices.problem(fromThrown(thrown, "page"));
    } finally {
      this.running = null;
      this.stage.isBusy = false;
      this.tools.endBusy();
      this.render();
    }
  }

  /** The upload may still be under way, or may have failed and deserves another try. */
  private async whenReady(session: Session, signal: AbortSignal): Promise<void> {
    this.progress.say("waiting");
    if (session.original.imageId === null) {
      this.ready = this.settle(session, session.upload());
      this.ready.catch(() => undefined);
    }
    await orCancelled(this.ready, signal);
  }

  private async reveal(erased: Erased, seconds: number): Promise<void> {
    await this.show();
    const model = this.catalog.nameOf(this.words, erased.model);
    this.notices.notes(erased.notices, model);
    const values = { n: seconds.toFixed(1), model };
    this.notices.whisper(this.words.say(erased.model === "" ? "done" : "doneBy", values));
  }

  // --- looking and saving -----------------------------------------------------------------------------------

  private get hasResult(): boolean {
    return this.session !== null && this.session.history.version !== this.session.original;
  }

  private compare(on: boolean): void {
    this.stage.compare.set(on && this.hasResult);
    this.stage.placeRing(null);
    this.render();
  }

  private showOriginal(shown: boolean): void {
    this.stage.showsOriginal = shown && this.hasResult;
  }

  private download(): void {
    const { session } = this;
    if (session === null || this.running !== null || !this.hasResult) return;
    const version = session.history.version;
    saveAs(version.blob, erasedName(session.name, version.blob.type));
    session.saved = version;
  }

  /** Bring the stage to where the history is. */
  private async show(): Promise<void> {
    const { session } = this;
    if (session === null) return;
    const { history, original } = session;
    const turn = (this.turn += 1);
    this.render();
    const picture = await this.shelf.get(history.version).catch((thrown: unknown) => {
      this.notices.problem(fromThrown(thrown, "page"));
    });
    if (!picture || turn !== this.turn || this.session !== session) return;
    if (history.version === original) this.compare(false);
    this.stage.show(picture, history.strokes);
    this.shelf.trim(original);
  }

  private render(): void {
    const { session } = this;
    if (session === null) return;
    const { canUndo, canRedo, strokes, variants } = session.history;
    const { hasResult } = this;
    const compares = this.stage.compare.isOn;
    const state = { canUndo, canRedo, canErase: strokes.length > 0, hasResult, variants, compares };
    this.tools.render(state, this.running !== null);
  }

  private startBusy(): () => number {
    this.stage.isBusy = true;
    this.render();
    return this.tools.startBusy();
  }
}
