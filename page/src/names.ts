/** What a saved result is called: `photo.jpg` becomes `photo-erased.jpg`, its ending always that of the real format. */

const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  "image/png": ["png"],
  "image/jpeg": ["jpg", "jpeg", "jpe", "jfif"],
  "image/webp": ["webp"],
  "image/avif": ["avif"],
  "image/gif": ["gif"],
  "image/bmp": ["bmp"],
  "image/tiff": ["tif", "tiff"],
  "image/heic": ["heic"],
  "image/heif": ["heif"],
};

export function erasedName(original: string, contentType: string): string {
  const { stem, ending } = split(original);
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  const endings = ENDINGS[type] ?? [ending || "png"];
  // `IMG_1.JPEG` keeps its own spelling as long as it tells the truth.
  const kept = endings.includes(ending.toLowerCase()) ? ending : (endings[0] ?? "png");
  return `${stem.replace(/-erased$/, "")}-erased.${kept}`;
}

function split(name: string): { stem: string; ending: string } {
  const base = name.split(/[\\/]/).at(-1) ?? "";
  const dot = base.lastIndexOf(".");
  if (dot <= 0) return { stem: base || "photo", ending: "" };
  return { stem: base.slice(0, dot), ending: base.slice(dot + 1) };
}

/** A video, a text or a document says so itself; anything doubtful is left to the server to judge. */
export function surelyNoPhoto(file: { readonly type: string; readonly name: string }): boolean {
  if (file.type.startsWith("image/")) return false;
  return /^(video|audio|text)\//.test(file.type) || /\.(pdf|docx?|xlsx?|pptx?|zip)$/i.test(file.name);
}
