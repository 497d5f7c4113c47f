import { afterEach, expect, it, vi } from "vitest";
import { createAccountApi } from "../src/account/api";
import { createApi } from "../src/api";
import { createLine } from "../src/request";

const SECRET = "eras_live_secret";

afterEach(() => vi.unstubAllGlobals());

function listen(answer: () => Response = () => new Response("{}")) {
  const asked: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push({ url, init });
    return Promise.resolve(answer());
  });
  return asked;
}

const lineOf = (credential: string | null) => createLine("https://erase.example/app/", () => "zh-CN", () => credential);

it("says who asks and in which language, below a root path, and never in the address", async () => {
  const asked = listen();
  await lineOf(SECRET).send("v1/account", { method: "POST", headers: { "Content-Type": "application/json" } });
  expect(asked[0]?.url).toBe("https://erase.example/app/v1/account");
  expect(asked[0]?.init.headers).toEqual({
    "Content-Type": "application/json", "Accept-Language": "zh-CN", Authorization: `Bearer ${SECRET}`,
  });
});

it("says nothing of who asks where nobody is signed in", async () => {
  const asked = listen();
  await lineOf(null).send("v1/models");
  expect(asked[0]?.init.headers).toEqual({ "Accept-Language": "zh-CN" });
});

it("sends the credential with pictures and with every call of the account, and keeps it out of all addresses", async () => {
  const asked = listen();
  const sent: Record<string, string> = {};
  class Upload {
    upload = {};
    status = 201;
    responseText = '{"id":"a","width":1,"height":1}';
    onload: () => void = () => undefined;
    open = (_method: string, url: string) => void asked.push({ url, init: {} });
    setRequestHeader = (name: string, value: string) => void (sent[name] = value);
    send = () => this.onload();
  }
  vi.stubGlobal("XMLHttpRequest", Upload);
  const line = lineOf(SECRET);
  const api = createApi(line);
  await api.upload(new Blob(["x"]), "a.png", () => undefined, new AbortController().signal);
  await api.preview("a");
  const account = createAccountApi(line);
  await account.account();
  await account.makeKey({ name: "n", scopes: ["erase"], days: null });
  await account.usageFile();
  await account.revokeKey("id/../x");
  expect(sent["Authorization"]).toBe(`Bearer ${SECRET}`);
  expect(asked).toHaveLength(6);
  for (const { url, init } of asked.slice(1)) {
    expect(init.headers).toMatchObject({ Authorization: `Bearer ${SECRET}` });
    expect(url).not.toContain(SECRET);
  }
  expect(asked.at(-1)?.url).toBe("https://erase.example/app/v1/keys/id%2F..%2Fx");
});

it("sends nothing for a photo that was left before its turn came", async () => {
  const Never = vi.fn();
  vi.stubGlobal("XMLHttpRequest", Never);
  const upload = createApi(lineOf(null)).upload(new Blob(["x"]), "a.png", () => undefined, AbortSignal.abort());
  await expect(upload).rejects.toMatchObject({ kind: "cancelled" });
});

it("tells what the server says about a refusal, with its own members", async () => {
  listen(() => new Response('{"code":"plan_forbids_model","detail":"No.","model":"mat"}', { status: 403 }));
  await expect(lineOf(SECRET).send("v1/erase")).rejects.toMatchObject({
    code: "plan_forbids_model", status: 403, detail: "No.", facts: { model: "mat" },
  });
});
