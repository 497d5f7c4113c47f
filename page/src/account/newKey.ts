/** A new key: shown this once, until the person says that it is kept. */

import { element, need } from "../dom";
import type { Words } from "../i18n";
import type { NewKey } from "./api";
import { copyable, tagged } from "./parts";

export function showNewKey(words: Words, made: NewKey): Promise<void> {
  const dialog = need("new-key", HTMLDialogElement);
  const title = element("h2", "", words.say("newKeyTitle", { name: made.name }));
  title.id = "new-key-title";
  const done = tagged(element("button", "button button-ink", words.say("newKeyDone")), "new-key-done");
  done.type = "button";
  done.addEventListener("click", () => {
    dialog.close();
    dialog.replaceChildren(); // now, not when the event comes round
  });
  dialog.replaceChildren(
    title,
    element("p", "", words.say("newKeyText")),
    copyable(words, made.key),
    element("div", "sheet-buttons", done),
  );
  // A slip of the hand must not lose it.
  const stay = (event: Event): void => event.preventDefault();
  dialog.addEventListener("cancel", stay);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        dialog.removeEventListener("cancel", stay);
        dialog.replaceChildren();
        resolve();
      },
      { once: true },
    );
  });
}
