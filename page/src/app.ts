/** The conductor: a photo comes in, is painted on, erased from, compared and taken home. */

import type { Api, Erased } from "./api";
import { box, input, need } from "./dom";
import type { Words } from "./i18n";
import { listenForPhotos } from "./intake";
import { listenForKeys } from "./keyboard";
import { isEmpty, rasterise } from "./mask";
import { erasedName, surelyNoPhoto } from "./names";
import type { Notices } from "./notices";
import type { Picture } from "./picture";
import { encodePng } from "./png";
import { fromThrown, type Problem } from "./problem";
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
  /** Counts openings and showings, so that a slow one that was overtaken knows it. */
  private turn = 0;
  private readonly toldNotes = new Set<string>();
  private readonly stage: Stage;
  private readonly tools: Tools;

  constructor(
    private readonly api: Api,
    private readonly words: Words,
    private readonly notices: Notices,
    private readonly settings: Settings,
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
    listenForKeys(() => this.session !== null && !need("leave", HTMLDialogElement).open, {
      ...commands,
      brush: (factor) => this.setBrush(this.stage.brush * factor),
    });
    listenForPhotos((file) => void this.open(file));
    window.addEventListener("beforeunload", (event) => {
      if (this.session?.hasUnsavedWork) event.preventDefault();
    });
    this.setBrush(brush);
  }

  // --- a photo comes in -------------------------------------------------------------------------------------

  async open(file: File): Promise<void> {
    const { words, notices } = this;
    notices.clearErrors();
    if (surelyNoPhoto(file)) {
      notices.error(words.say("errNoPhoto", { name: file.name }), words.say("errNoPhotoHint"));
      return;
    }
    if (!(await this.mayLeave())) return;
    this.running?.abort();
    const turn = (this.turn += 1);
    const shelf = new Shelf(this.api);
    const session = new Session(this.api, file, file.name || "photo.png", (share) => this.showSending(session, share));
    const sent = session.upload();
    this.sayOpening(words.say("opening"));
    try {
      const picture = await this.firstPicture(session, shelf, sent);
      if (turn !== this.turn) return session.close();
      this.enter(session, shelf, picture);
    } catch (thrown) {
      session.close();
      if (turn === this.turn) this.explain(fromThrown(thrown));
    } finally {
      if (turn === this.turn) this.sayOpening("");
    }
  }

  /** What the browser can show at once; else what the server makes of it. */
  private async firstPicture(session: Session, shelf: Shelf, sent: Promise<unknown>): Promise<Picture> {
    // Its failure is told by whoever awaits it later.
    sent.catch(() => undefined);
    try {
      return await shelf.get(session.original);
    } catch {
      await sent;
      return shelf.preview(session.original);
    }
  }

  private enter(session: Session, shelf: Shelf, picture: Picture): void {
    this.session?.close();
    this.shelf.clear();
    this.session = session;
    this.shelf = shelf;
    this.image = picture.natural;
    this.toldNotes.clear();
    document.body.classList.add("is-editing");
    box("start").hidden = true;
    box("editor").hidden = false;
    this.setMode("paint");
    this.stage.open(picture, this.image);
    this.stage.element.focus({ preventScroll: true });
    this.render();
    this.notices.whisper(this.words.say("firstHint"));
    this.ready = this.settle(session);
    this.ready.catch((thrown: unknown) => {
      if (this.session === session) this.uploadFailed(fromThrown(thrown));
    });
  }

  /** Wait for the upload, then go by the server's idea of the photo's size. */
  private async settle(session: Session): Promise<void> {
    const info = await session.upload();
    if (this.session !== session) return;
    const { width, height } = this.image;
    if (info.width === width && info.height === height) return;
    const factor = info.width / width;
    const sameShape = Math.abs(info.height / (height * factor) - 1) < 0.01;
    if (sameShape) session.history.rescaleStrokes((stroke) => scaled(stroke, factor));
    else session.history.push({ kind: "clear" });
    this.image = { width: info.width, height: info.height };
    this.stage.takeBack();
    const picture = await this.shelf.preview(session.original);
    if (this.session !== session) return;
    this.stage.replaceOriginal(picture, this.image);
    this.show();
  }

  /** The server will never take this photo: back to the start. Anything else may go better at the next try. */
  private uploadFailed(problem: Problem): void {
    this.showSending(this.session, null);
    if (problem.kind === "cancelled") return;
    const isHopeless = problem.status >= 400 && problem.status < 500 && problem.status !== 429;
    if (isHopeless) this.leave();
    this.notices.problem(problem);
  }

  private leave(): void {
    this.session?.close();
    this.session = null;
    this.shelf.clear();
    document.body.classList.remove("is-editing");
    box("editor").hidden = true;
    box("start").hidden = false;
  }

  private async mayLeave(): Promise<boolean> {
    if (!this.session?.hasUnsavedWork) return true;
    const dialog = need("leave", HTMLDialogElement);
    if (dialog.open) return false;
    dialog.returnValue = "stay";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    return dialog.returnValue === "go";
  }

  // --- painting ---------------------------------------------------------------------------------------------

  private addStroke(stroke: Stroke): void {
    this.session?.history.push({ kind: "stroke", stroke });
    this.show();
  }

  private clear(): void {
    if (this.running !== null || !this.session?.history.strokes.length) return;
    this.session.history.push({ kind: "clear" });
    this.show();
  }

  private travel(way: "undo" | "redo"): void {
    if (this.running !== null || this.session === null) return;
    this.session.history[way]();
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
    const running = (this.running = new AbortController());
    this.compare(false);
    const seconds = this.startBusy();
    try {
      await this.whenReady(session, running.signal);
      this.tools.sayBusy(words.say("working"));
      const mask = rasterise(session.history.strokes, this.image.width, this.image.height);
      if (isEmpty(mask)) return notices.error(words.say("errOutside"), words.say("errOutsideHint"));
      const { version, erased } = await session.erase(await encodePng(mask), this.settings.options, running.signal);
      await this.reveal(session, version, erased, seconds());
    } catch (thrown) {
      if (this.session === session) this.explain(fromThrown(thrown));
    } finally {
      this.running = null;
      this.endBusy();
    }
  }

  /** The upload may still be under way, or may have failed and deserves another try. */
  private async whenReady(session: Session, signal: AbortSignal): Promise<void> {
    this.tools.sayBusy(this.words.say("waiting"));
    if (session.original.imageId === null) {
      this.ready = this.settle(session);
      this.ready.catch(() => undefined);
    }
    await orCancelled(this.ready, signal);
  }

  private async reveal(session: Session, version: Version, erased: Erased, seconds: number): Promise<void> {
    try {
      await this.shelf.get(version);
    } catch (thrown) {
      session.history.undo();
      throw thrown;
    }
    if (this.session !== session) return;
    await this.show();
    const news = erased.notices.filter((code) => !this.toldNotes.has(code));
    for (const code of news) this.toldNotes.add(code);
    this.notices.notes(news);
    const values = { n: seconds.toFixed(1), model: erased.model };
    this.notices.whisper(this.words.say(erased.model === "" ? "done" : "doneBy", values));
  }

  private explain(problem: Problem): void {
    if (problem.kind === "cancelled") this.notices.whisper(this.words.say("cancelled"));
    else if (problem.code === "no_preview") this.notices.error(this.words.say("errNoPreview"));
    else this.notices.problem(problem);
  }

  // --- looking and saving -----------------------------------------------------------------------------------

  private compare(on: boolean): void {
    const can = this.session !== null && this.session.history.version !== this.session.original;
    this.stage.compare.set(on && can);
    this.stage.placeRing(null);
    this.render();
  }

  private showOriginal(shown: boolean): void {
    const can = this.session !== null && this.session.history.version !== this.session.original;
    this.stage.showsOriginal = shown && can;
  }

  private download(): void {
    const { session } = this;
    if (session === null || this.running !== null) return;
    const version = session.history.version;
    if (version === session.original) return;
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
    const picture = await this.shelf.get(history.version);
    if (turn !== this.turn || this.session !== session) return;
    if (history.version === original) this.compare(false);
    this.stage.show(picture, history.strokes);
    this.shelf.trim(original);
  }

  private render(): void {
    const { session } = this;
    if (session === null) return;
    const { history, original } = session;
    this.tools.render(
      {
        undo: history.canUndo,
        redo: history.canRedo,
        erase: history.strokes.length > 0,
        hasResult: history.version !== original,
        compares: this.stage.compare.isOn,
      },
      this.running !== null,
    );
  }

  private startBusy(): () => number {
    this.stage.isBusy = true;
    this.render();
    return this.tools.startBusy();
  }

  private endBusy(): void {
    this.stage.isBusy = false;
    this.tools.endBusy();
    this.render();
  }

  private showSending(session: Session | null, share: number | null): void {
    if (session === this.session) this.tools.showSending(share);
    else if (share !== null && share < 1) this.sayOpening(this.words.say("uploading", { percent: Math.round(share * 100) }));
  }

  private sayOpening(text: string): void {
    box("start").classList.toggle("is-opening", text !== "");
    box("opening").textContent = text;
  }
}
