/** From a chosen file to a photo on the stage. The photo that is there stays until the new one can be shown. */

import type { Api } from "./api";
import { box } from "./dom";
import type { Words } from "./i18n";
import { surelyNoPhoto } from "./names";
import type { Notices } from "./notices";
import { patient, type Wait } from "./patience";
import type { Picture } from "./picture";
import { fromThrown } from "./problem";
import { waitWords } from "./progress";
import { Session } from "./session";
import { Shelf } from "./shelf";

export interface Host {
  mayEnter(): Promise<boolean>;
  /** `waiting`: for what its upload waits, if it does. */
  enter(session: Session, shelf: Shelf, picture: Picture, waiting: Wait | null): void;
  sending(session: Session, share: number): void;
  waiting(session: Session, wait: Wait | null): void;
}

export class Arrivals {
  /** Counts openings, so that a slow one that was overtaken by another knows it. */
  private turn = 0;

  constructor(
    private readonly api: Api,
    private readonly words: Words,
    private readonly notices: Notices,
    private readonly host: Host,
  ) {}

  async open(file: File): Promise<void> {
    const { words, notices, host } = this;
    notices.clearErrors();
    if (surelyNoPhoto(file)) {
      notices.error(words.say("errNoPhoto", { name: file.name }), words.say("errNoPhotoHint"));
      return;
    }
    if (!(await host.mayEnter())) return;
    const turn = (this.turn += 1);
    let waiting: Wait | null = null;
    const api = patient(this.api, (wait) => {
      waiting = wait;
      if (turn === this.turn) this.sayOpening(wait === null ? words.say("opening") : waitWords(words, wait));
      host.waiting(session, wait);
    });
    const shelf = new Shelf(api);
    const session: Session = new Session(api, file, file.name || "photo.png", (share) => {
      if (turn === this.turn) this.sayOpening(words.say("uploading", { percent: Math.round(share * 100) }));
      host.sending(session, share);
    });
    this.sayOpening(words.say("opening"));
    try {
      const picture = await this.firstPicture(session, shelf);
      if (turn === this.turn) host.enter(session, shelf, picture, waiting);
      else session.close();
    } catch (thrown) {
      session.close();
      if (turn === this.turn) notices.problem(fromThrown(thrown, "page"));
    } finally {
      if (turn === this.turn) this.sayOpening("");
    }
  }

  /** What the browser can show at once; else what the server makes of it. */
  private async firstPicture(session: Session, shelf: Shelf): Promise<Picture> {
    const sent = session.arrive();
    // Its failure is told by whoever awaits it later.
    sent.catch(() => undefined);
    try {
      return await shelf.get(session.original);
    } catch {
      await sent;
      return shelf.preview(session.original);
    }
  }

  private sayOpening(text: string): void {
    box("start").classList.toggle("is-opening", text !== "");
    box("opening").textContent = text;
  }
}
