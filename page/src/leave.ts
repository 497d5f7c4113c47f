/** The one question that the page asks: may an unsaved result be left? */

import { need } from "./dom";

export const leaveDialog = (): HTMLDialogElement => need("leave", HTMLDialogElement);

export async function askToLeave(): Promise<boolean> {
  const dialog = leaveDialog();
  if (dialog.open) return false;
  dialog.returnValue = "stay";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "go";
}
