/** Shortcuts of the editor. They stay silent while somebody types, chooses in the settings or answers a question. */

export interface Commands {
  erase(): void;
  escape(): void;
  again(): void;
  pick(by: number): void;
  undo(): void;
  redo(): void;
  download(): void;
  mode(mode: "paint" | "keep"): void;
  /** Times the brush's size. */
  brush(factor: number): void;
  zoom(factor: number): void;
  fit(): void;
  original(shown: boolean): void;
  space(held: boolean): void;
}

const BRUSH_STEP = 1.15;
const ZOOM_STEP = 1.25;

export function listenForKeys(isActive: () => boolean, commands: Commands): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !isActive() || isElsewhere(event.target)) return;
    const command = event.ctrlKey || event.metaKey ? withCommandKey(event, commands) : plain(event, commands);
    if (command === undefined) return;
    event.preventDefault();
    command();
  });
  document.addEventListener("keyup", (event) => {
    if (event.code === "Space") commands.space(false);
    if (event.code === "KeyO") commands.original(false);
  });
  // A key that is released in another window sends no keyup here.
  window.addEventListener("blur", () => {
    commands.space(false);
    commands.original(false);
  });
}

type Command = () => void;

function withCommandKey(event: KeyboardEvent, commands: Commands): Command | undefined {
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? commands.redo : commands.undo;
  if (key === "y") return commands.redo;
  if (key === "s") return commands.download;
  return undefined;
}

function plain(event: KeyboardEvent, commands: Commands): Command | undefined {
  const onButton = event.target instanceof HTMLButtonElement;
  const onSlider = event.target instanceof HTMLInputElement;
  switch (event.code) {
    case "Space":
      return onButton ? undefined : () => commands.space(true);
    case "KeyO":
      return () => commands.original(true);
    case "KeyB":
      return () => commands.mode("paint");
    case "KeyE":
      return () => commands.mode("keep");
    case "KeyT":
      return commands.again;
    case "ArrowLeft":
      return onSlider ? undefined : () => commands.pick(-1);
    case "ArrowRight":
      return onSlider ? undefined : () => commands.pick(1);
    case "BracketLeft":
      return () => commands.brush(1 / BRUSH_STEP);
    case "BracketRight":
      return () => commands.brush(BRUSH_STEP);
    case "Digit0":
    case "Numpad0":
      return commands.fit;
  }
  switch (event.key) {
    case "Enter":
      return onButton ? undefined : commands.erase;
    case "Escape":
      return commands.escape;
    case "+":
    case "=":
      return () => commands.zoom(ZOOM_STEP);
    case "-":
      return () => commands.zoom(1 / ZOOM_STEP);
    // Keyboards without a bracket key of its own (German, French) send the character only.
    case "[":
      return () => commands.brush(1 / BRUSH_STEP);
    case "]":
      return () => commands.brush(BRUSH_STEP);
  }
  return undefined;
}

function isElsewhere(target: EventTarget | null): boolean {
  // An open popover or dialog may be looked at while the focus is elsewhere; Escape is for it alone.
  if (document.querySelector(":popover-open, dialog:modal") !== null) return true;
  if (!(target instanceof Element)) return false;
  return target.closest("input:not([type=range]), select, textarea, dialog, summary") !== null;
}
