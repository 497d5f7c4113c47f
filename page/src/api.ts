/** The server, as the page uses it for pictures. */

import { fromThrown, parseProblem, Problem } from "./problem";
import type { Line } from "./request";

export interface ImageInfo {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** Pixels, or as far as the server finds that the object goes. */
export type Growth = number | "auto";

export const efforts = ["fast", "balanced", "best"] as const;
export type Effort = (typeof efforts)[number];

export interface EraseOptions {
  readonly model: string;
  readonly dilate: Growth;
  /** Pixels; `null` leaves it to the server. */
  readonly feather: number | null;
  readonly effort: Effort;
  readonly format: string;
  /** Of the model's sampler; `null` for its own number. */
  readonly steps: number | null;
  /** What is, and is not, to come into the hole; empty for whatever fits. */
  readonly prompt: string;
  readonly negativePrompt: string;
}

export interface Erased {
  readonly blob: Blob;
  readonly contentType: string;
  /** The result, kept by the server for the next round. */
  readonly imageId: string | null;
  readonly model: string;
  readonly notices: readonly string[];
}

export interface Model {
  readonly id: string;
  readonly title: string;
  readonly licence: string;
  readonly speed: string;
  readonly quality: string;
  /** "absent", "loading", "ready", "unloading" or "failed". */
  readonly state: string;
  readonly allowed: boolean;
  /** A sentence in the person's language, with what to type. */
  readonly whyNot: string;
  /** The same for programs: "licence", "package", "weights" or "plan"; empty where it is allowed. */
  readonly whyCode: string;
  /** Of the weights that are missing; 0 where none are. */
  readonly downloadBytes: number;
  /** It takes memory, and so its time before it is ready. */
  readonly loads: boolean;
  /** Of its sampler, by default; `null` where it has none. */
  readonly steps: number | null;
  readonly prompt: boolean;
  /** The operator's own. */
  readonly added: boolean;
}

export interface Api {
  upload(photo: Blob, name: string, progress: (share: number) => void, signal: AbortSignal): Promise<ImageInfo>;
  /** Another `seed` gives a variant. */
  erase(imageId: string, mask: Blob, seed: number, options: EraseOptions, signal: AbortSignal): Promise<Erased>;
  preview(imageId: string): Promise<Blob>;
  models(): Promise<readonly Model[]>;
  /** How many requests wait for their turn, whosesoever. */
  waiting(): Promise<number>;
}

/** The server's own deadline is far shorter; this one is for a connection that died without saying so. */
const SILENCE_MS = 300_000;

export function createApi(line: Line): Api {
  return {
    upload: (photo, name, progress, signal) => upload(line, photo, name, progress, signal),

    async erase(imageId, mask, seed, options, signal) {
      const form = new FormData();
      form.set("image_id", imageId);
      form.set("mask", mask, "mask.png");
      form.set("seed", String(seed));
      form.set("model", options.model);
      form.set("dilate", String(options.dilate));
      form.set("effort", options.effort);
      // A person would rather have a rough result, and be told, than none.
      form.set("rough_when_late", "true");
      if (options.feather !== null) form.set("feather", String(options.feather));
      if (options.format !== "same") form.set("format", options.format);
      if (options.steps !== null) form.set("steps", String(options.steps));
      if (options.prompt !== "") form.set("prompt", options.prompt);
      if (options.negativePrompt !== "") form.set("negative_prompt", options.negativePrompt);
      return withDeadline(signal, async (either) => {
        const response = await line.send("v1/erase", { method: "POST", body: form, signal: either });
        return readErased(response, await response.blob());
      });
    },

    async preview(imageId) {
      return (await line.send(`v1/images/${encodeURIComponent(imageId)}/preview`)).blob();
    },

    async models() {
      return readModels(await (await line.send("v1/models")).json());
    },

    async waiting() {
      return readWaiting(await (await line.send("v1/status")).json());
    },
  };
}

function readErased(response: Response, blob: Blob): Erased {
  const header = (name: string): string => response.headers.get(name) ?? "";
  return {
    blob,
    contentType: header("Content-Type") || blob.type,
    imageId: header("X-Eraser-Image-Id") || null,
    model: header("X-Eraser-Model"),
    notices: header("X-Eraser-Notice").split(",").map((code) => code.trim()).filter((code) => code !== ""),
  };
}

export function readModels(body: unknown): readonly Model[] {
  const list = typeof body === "object" && body !== null && "models" in body ? body.models : [];
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown): Model[] => {
    if (typeof item !== "object" || item === null) return [];
    const fields: Record<string, unknown> = { ...item };
    const text = (key: string): string => String(fields[key] ?? "");
    const number = (key: string): number => (typeof fields[key] === "number" ? fields[key] : 0);
    if (text("id") === "" || text("id") === "auto") return [];
    return [{
      id: text("id"),
      title: text("title") || text("id"),
      licence: text("licence"),
      speed: text("speed"),
      quality: text("quality"),
      state: text("state"),
      allowed: fields["allowed"] !== false,
      whyNot: text("why_not"),
      whyCode: text("why_code"),
      downloadBytes: number("download_bytes"),
      loads: number("memory_mb") > 0,
      steps: number("steps") || null,
      prompt: fields["prompt"] === true,
      added: fields["added"] === true,
    }];
  });
}

export function readWaiting(body: unknown): number {
  const { queue } = (body ?? {}) as { queue?: { waiting?: unknown } };
  return typeof queue?.waiting === "number" ? queue.waiting : 0;
}

function readInfo(body: string): ImageInfo | null {
  try {
    const { id, width, height } = JSON.parse(body) as Partial<ImageInfo>;
    return typeof id === "string" && Number(width) > 0 && Number(height) > 0
      ? { id, width: Number(width), height: Number(height) }
      : null;
  } catch {
    return null;
  }
}

/** Runs `work` with a signal that fires when the caller cancels or the deadline passes. */
async function withDeadline<T>(signal: AbortSignal, work: (either: AbortSignal) => Promise<T>): Promise<T> {
  const either = new AbortController();
  const cancel = (): void => either.abort(new DOMException("cancelled", "AbortError"));
  const timer = setTimeout(() => either.abort(new DOMException("silent", "TimeoutError")), SILENCE_MS);
  signal.addEventListener("abort", cancel);
  try {
    if (signal.aborted) throw new Problem("cancelled");
    return await work(either.signal);
  } catch (thrown) {
    throw fromThrown(thrown, "network");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
}

/** XMLHttpRequest, because `fetch` cannot tell how far an upload is. */
function upload(
  line: Line,
  photo: Blob,
  name: string,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<ImageInfo> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    if (signal.aborted) return reject(new Problem("cancelled"));
    request.open("POST", line.address("v1/images"));
    for (const [name, value] of Object.entries(line.headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    };
    request.onerror = () => reject(new Problem("network"));
    request.onabort = () => reject(new Problem("cancelled"));
    request.onload = () => {
      if (request.status < 200 || request.status >= 300) {
        reject(parseProblem(request.status, request.responseText, request.getResponseHeader("Retry-After")));
        return;
      }
      const info = readInfo(request.responseText);
      if (info === null) reject(new Problem("server", "", request.status));
      else resolve(info);
    };
    signal.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.set("image", photo, name);
    request.send(form);
  });
}
