/** The ways a photo comes in: chosen, dropped, pasted. */

import { box, button, input } from "./dom";

export function listenForPhotos(take: (file: File) => void): void {
  const chooser = input("file");
  button("choose").addEventListener("click", (event) => {
    event.stopPropagation();
    chooser.click();
  });
  box("drop").addEventListener("click", () => {
    if (!box("start").classList.contains("is-opening")) chooser.click();
  });
  chooser.addEventListener("change", () => {
    const file = chooser.files?.[0];
    // Emptied, so that choosing the same file again is a change again.
    chooser.value = "";
    if (file !== undefined) take(file);
  });

  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file === undefined) return;
    event.preventDefault();
    take(file);
  });
  listenForDrops(take);
}

function listenForDrops(take: (file: File) => void): void {
  const veil = box("veil");
  let depth = 0; // dragenter and dragleave also come from every element inside the page
  const carriesFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (!carriesFile(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!carriesFile(event)) return;
    depth -= 1;
    veil.hidden = depth > 0 ? false : true;
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFile(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) take(file);
  });
}
