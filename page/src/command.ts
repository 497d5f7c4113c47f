/** What to type, found in a sentence of the server's, so that it can be shown as such and copied. */

export interface WithCommand {
  readonly before: string;
  /** Empty where the sentence has none. */
  readonly command: string;
}

const COMMAND = /magic-eraser [\w ./+-]*[\w/+-]|pip install (["'])[^"']+\1|ERASER_\w+=[^\s,;，；。]*[^\s,;，；。.]/;

/** "It needs this: type that." as "It needs this:" and "type that". */
export function findCommand(sentence: string): WithCommand {
  const found = COMMAND.exec(sentence);
  if (found === null) return { before: sentence, command: "" };
  return { before: sentence.slice(0, found.index).trim(), command: found[0] };
}

/** Bytes as people read them: 205 MB, 4.3 GB. */
export function fileSize(bytes: number): string {
  return bytes < 1e9 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
