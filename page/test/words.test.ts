import { describe, expect, it } from "vitest";
import { readModels } from "../src/api";
import { fileSize, findCommand } from "../src/command";
import { fill, pickLanguage, Words } from "../src/i18n";
import { erasedName, surelyNoPhoto } from "../src/names";
import { load, save, wholeSteps } from "../src/prefs";
import { fromThrown, parseProblem } from "../src/problem";
import { tables } from "../src/strings";
import { brushFromSlider, sliderFromBrush } from "../src/stroke";

describe("erasedName", () => {
  it.each([
    ["photo.jpg", "image/jpeg", "photo-erased.jpg"],
    ["IMG_1.JPEG", "image/jpeg", "IMG_1-erased.JPEG"],
    ["photo.jpg", "image/png", "photo-erased.png"],
    ["scan.tif", "image/tiff", "scan-erased.tif"],
    ["photo-erased.png", "image/png", "photo-erased.png"],
    ["a.b.c.webp", "image/webp; x=1", "a.b.c-erased.webp"],
    ["咖啡.png", "image/png", "咖啡-erased.png"],
    [".png", "image/png", ".png-erased.png"],
    ["noending", "image/jpeg", "noending-erased.jpg"],
    ["odd.xyz", "application/octet-stream", "odd-erased.xyz"],
    ["", "", "photo-erased.png"],
  ])("%s as %s becomes %s", (name, type, expected) => expect(erasedName(name, type)).toBe(expected));
});

it("only refuses files that surely are no photo", () => {
  expect(surelyNoPhoto({ name: "a.mp4", type: "video/mp4" })).toBe(true);
  expect(surelyNoPhoto({ name: "a.pdf", type: "application/pdf" })).toBe(true);
  expect(surelyNoPhoto({ name: "a.heic", type: "" })).toBe(false);
  expect(surelyNoPhoto({ name: "zip.png", type: "image/png" })).toBe(false);
});

describe("problems", () => {
  it("reads problem+json", () => {
    const body = JSON.stringify({ code: "queue_full", title: "t", detail: "Busy.", hint: "Wait.", retry_after: 2.2 });
    expect(parseProblem(503, body, null)).toMatchObject({
      kind: "server", code: "queue_full", status: 503, detail: "Busy.", hint: "Wait.", retryAfter: 3,
    });
  });

  it("takes the title without a detail, and Retry-After without a field", () => {
    expect(parseProblem(429, '{"title":"Too many"}', "7")).toMatchObject({ detail: "Too many", retryAfter: 7 });
  });

  it.each(["", "<html>Bad gateway</html>", "null", "[1]", '{"detail":[{"loc":1}]}'])("survives the body %s", (body) => {
    expect(parseProblem(502, body, "Wed, 21 Oct 2026 07:28:00 GMT")).toMatchObject({ status: 502, detail: "", retryAfter: null });
  });

  it("calls 504 a timeout, and what fetch throws by its name", () => {
    expect(parseProblem(504, "{}", null).kind).toBe("timeout");
    expect(fromThrown(new TypeError("Failed to fetch"), "network").kind).toBe("network");
    expect(fromThrown(new DOMException("", "AbortError"), "page").kind).toBe("cancelled");
    expect(fromThrown(new DOMException("", "TimeoutError"), "page").kind).toBe("timeout");
    expect(fromThrown(new RangeError("ours"), "page").kind).toBe("page");
  });
});

describe("language", () => {
  it("follows the person, then the browser, then English", () => {
    expect(pickLanguage("zh", ["en-US"])).toBe("zh");
    expect(pickLanguage(null, ["fr-FR", "zh-TW", "en"])).toBe("zh");
    expect(pickLanguage("klingon", ["de"])).toBe("en");
  });

  it("has the same placeholders in both languages", () => {
    const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, text] of Object.entries(tables.en)) {
      expect(places(tables.zh[key as keyof typeof tables.en]), key).toEqual(places(text));
    }
  });

  it("fills placeholders and leaves unknown ones alone", () => {
    expect(fill("{a} and {b}", { a: 1 })).toBe("1 and {b}");
    expect(new Words("zh").say("seconds", { n: 3 })).toBe("3 秒");
  });
});

describe("preferences", () => {
  const storeOf = (text: string | null) => ({ getItem: () => text, setItem: () => undefined });

  it.each([null, "", "{", "null", '"x"', '{"brush":"big","model":7,"dilate":-3}'])("survives a store that holds %s", (text) => {
    expect(load(storeOf(text))).toEqual(load(null));
  });

  it("remembers", () => {
    let kept = "";
    save({ getItem: () => null, setItem: (_, value) => void (kept = value) }, { ...load(null), model: "lama" });
    expect(load(storeOf(kept)).model).toBe("lama");
  });

  it("knows the choices that have names, and no others", () => {
    const kept = (dilate: unknown, effort: unknown) => load(storeOf(JSON.stringify({ dilate, effort })));
    expect(kept("auto", "best")).toMatchObject({ dilate: "auto", effort: "best" });
    expect(kept("all", "most")).toMatchObject({ dilate: null, effort: "balanced" });
    expect(kept(7, null)).toMatchObject({ dilate: 7, effort: "balanced" });
  });

  it("does not mind a store that refuses", () => {
    const refuse = () => {
      throw new Error("quota");
    };
    expect(() => save({ getItem: refuse, setItem: refuse }, load({ getItem: refuse, setItem: refuse }))).not.toThrow();
  });
});

it("reads the catalogue and skips what is no model", () => {
  const models = readModels({ models: [{ id: "lama", allowed: false, why_not: "No weights." }, { id: "auto" }, 3, {}] });
  expect(models).toMatchObject([{ id: "lama", title: "lama", allowed: false, whyNot: "No weights." }]);
  expect(readModels(null)).toEqual([]);
});

it("reads what a model takes and can be told, and survives a server that says less", () => {
  const full = { id: "sd", state: "absent", download_bytes: 5, memory_mb: 900, steps: 50, prompt: true, added: true };
  expect(readModels({ models: [full, { id: "old", steps: "many" }] })).toMatchObject([
    { state: "absent", downloadBytes: 5, loads: true, steps: 50, prompt: true, added: true },
    { state: "", downloadBytes: 0, loads: false, steps: null, prompt: false, added: false, allowed: true },
  ]);
});

describe("what to type", () => {
  it.each([
    ["Its weights are not here yet: magic-eraser models download lama.", "Its weights are not here yet:", "magic-eraser models download lama"],
    ["尚未下载权重：请运行 magic-eraser models download lama-onnx。", "尚未下载权重：请运行", "magic-eraser models download lama-onnx"],
    ["It needs torch: pip install 'magic-eraser[torch]'.", "It needs torch:", "pip install 'magic-eraser[torch]'"],
    ["To accept it, set ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0.", "To accept it, set", "ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0"],
    ["如接受，请设置 ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0。", "如接受，请设置", "ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0"],
    ["Not in your plan.", "Not in your plan.", ""],
  ])("is found in: %s", (sentence, before, command) => expect(findCommand(sentence)).toEqual({ before, command }));

  it("has sizes that people read", () => {
    expect([1, 205_000_000, 4_265_000_000].map(fileSize)).toEqual(["1 MB", "205 MB", "4.3 GB"]);
  });
});

it("takes whole steps from 1 to 1000, and nothing else", () => {
  expect([null, NaN, -1, 0, 0.2, 12.4, 5000].map(wholeSteps)).toEqual([null, null, null, null, 1, 12, 1000]);
});

it("maps the size slider there and back", () => {
  expect(brushFromSlider(0)).toBe(4);
  expect(brushFromSlider(100)).toBeCloseTo(240);
  expect(sliderFromBrush(brushFromSlider(37))).toBeCloseTo(37);
});
