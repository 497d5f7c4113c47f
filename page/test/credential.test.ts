import { describe, expect, it } from "vitest";
import { Credential, readCredential, type Store } from "../src/account/credential";

const KEY = "magic-eraser-credential";

function storeOf(kept: Record<string, string> = {}): Store & { kept: Record<string, string> } {
  return {
    kept,
    getItem: (key) => kept[key] ?? null,
    setItem: (key, value) => void (kept[key] = value),
    removeItem: (key) => void delete kept[key],
  };
}

describe("what was typed", () => {
  it.each([
    ["eras_live_abc", "eras_live_abc"],
    ["  eras_live_abc\n", "eras_live_abc"],
    ["Bearer eyJ.x.y", "eyJ.x.y"],
    ["Authorization: Bearer eyJ.x.y", "eyJ.x.y"],
    ['"eras_live_abc"', "eras_live_abc"],
    ["", null],
    ["two words", null],
    ["密钥", null],
    ["eras_live_a\nSet-Cookie: x", null],
    ["x".repeat(8193), null],
  ])("%j is sent as %j", (typed, sent) => expect(readCredential(typed)).toBe(sent));
});

describe("Credential", () => {
  it("is kept for the tab, and for longer only where the person says so", () => {
    const [session, lasting] = [storeOf(), storeOf()];
    const credential = new Credential(session, lasting);
    credential.keep("one", false);
    expect([session.kept[KEY], lasting.kept[KEY]]).toEqual(["one", undefined]);
    credential.keep("two", true);
    expect([session.kept[KEY], lasting.kept[KEY]]).toEqual([undefined, "two"]);
    expect(new Credential(storeOf(), lasting).value).toBe("two");
  });

  it("leaves nothing behind when it is forgotten", () => {
    const [session, lasting] = [storeOf({ [KEY]: "one" }), storeOf({ [KEY]: "two", "magic-eraser": "{}" })];
    const credential = new Credential(session, lasting);
    expect(credential.value).toBe("one");
    credential.forget();
    expect([credential.value, session.kept, lasting.kept]).toEqual([null, {}, { "magic-eraser": "{}" }]);
  });

  it("stays where it was when a new key takes its place", () => {
    const [session, lasting] = [storeOf(), storeOf({ [KEY]: "old" })];
    new Credential(session, lasting).replace("new");
    expect([session.kept[KEY], lasting.kept[KEY]]).toEqual([undefined, "new"]);
  });

  it("holds as long as the page where the browser forbids storage", () => {
    const refuse = (): never => {
      throw new Error("denied");
    };
    const store = { getItem: refuse, setItem: refuse, removeItem: refuse };
    const credential = new Credential(store, store);
    credential.keep("one", true);
    expect(credential.value).toBe("one");
    credential.forget();
    expect(credential.value).toBeNull();
  });

  it("follows another tab that signs in or out for good, unless this tab has its own", () => {
    const credential = new Credential(storeOf(), storeOf({ [KEY]: "one" }));
    expect(credential.follow({ key: "magic-eraser", newValue: "{}" })).toBe(false);
    expect(credential.follow({ key: KEY, newValue: null })).toBe(true);
    expect(credential.value).toBeNull();
    expect(credential.follow({ key: KEY, newValue: "two" })).toBe(true);
    expect(credential.value).toBe("two");
    const own = new Credential(storeOf({ [KEY]: "own" }), storeOf());
    expect(own.follow({ key: KEY, newValue: null })).toBe(false);
    expect(own.value).toBe("own");
  });
});
