import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { mayFetch } from "../../adapters/slack/files.ts";
import { isResponseUrl } from "../../adapters/slack/response-url.ts";
import type { NewFile } from "../../sandbox/slack/people.ts";
import type { LocalFile } from "../../src/core/ports.ts";
import { openBridge, type SlackBridge, SOON, toTurn } from "./bridge.ts";

const PDF: NewFile = { name: "a.pdf", mimetype: "application/pdf", bytes: Buffer.from("%PDF-1.7 text") };

async function upload(bridge: SlackBridge, file: NewFile): Promise<() => Promise<LocalFile>> {
  const before = bridge.turns.length;
  bridge.slack.person("Ada").dm("", { files: [file] });
  await expect.poll(() => bridge.turns.length, SOON).toBe(before + 1);
  const turn = toTurn(bridge.turns.at(-1));
  const attachment = turn.attachments[0];
  if (attachment === undefined) throw new Error("no attachment");
  return () =>
    bridge.adapter.fetchAttachment(turn, attachment, { maxBytes: 1_000_000, signal: bridge.signal });
}

it("§14.24 brings a file that comes without a word", async () => {
  await using bridge = await openBridge();
  const fetch = await upload(bridge, PDF);
  expect(bridge.turns[0]).toMatchObject({
    text: "",
    attachments: [{ name: "a.pdf", contentType: "application/pdf" }],
  });
  await using file = await fetch();
  expect(await readFile(file.path, "utf8")).toBe("%PDF-1.7 text");
});

it("quotes a message that is passed on, with its file, also without a word about it", async () => {
  await using bridge = await openBridge();
  const grace = bridge.slack.person("Grace");
  const text = `see ${grace.id} &amp; <@${grace.id}> about <@${bridge.slack.workspace.bot.userId}>`;
  const forward = { author: "Alan", text, files: [PDF] };
  bridge.slack.person("Ada").dm("", { forward });
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  bridge.slack.person("Ada").dm("", { forward: { author: "Alan", text: "alone" } });
  await expect.poll(() => bridge.turns.length, SOON).toBe(2);
  bridge.slack.person("Ada").dm("what does it say?", { forward: { author: "Alan", text: "in short" } });
  await expect.poll(() => bridge.turns.length, SOON).toBe(3);
  expect(bridge.turns[0]).toMatchObject({
    text: "",
    quote: { author: "Alan", text: `see ${grace.id} & @Grace about @Coze` },
    attachments: [{ name: "a.pdf", contentType: "application/pdf" }],
  });
  expect(bridge.turns[1]).toMatchObject({ text: "", quote: { author: "Alan", text: "alone" } });
  expect(bridge.turns[2]).toMatchObject({
    text: "what does it say?",
    quote: { author: "Alan", text: "in short" },
    attachments: [],
  });
  const turn = toTurn(bridge.turns[0]);
  const [attachment] = turn.attachments;
  if (attachment === undefined) throw new Error("no attachment");
  await using file = await bridge.adapter.fetchAttachment(turn, attachment, {
    maxBytes: 1_000_000,
    signal: bridge.signal,
  });
  expect(await readFile(file.path, "utf8")).toBe("%PDF-1.7 text");
});

it("takes no mention inside of what is passed on for a call", async () => {
  await using bridge = await openBridge();
  const ada = bridge.slack.person("Ada");
  const { bot } = bridge.slack.workspace;
  const channel = bridge.slack.workspace.addChannel("general", "channel", [bot.userId, ada.id]).id;
  ada.say(channel, "look", {
    forward: { author: "Alan", text: `<@${bot.userId}> hi` },
  });
  ada.say(channel, "@Coze well?", { forward: { author: "Alan", text: "<!channel> lunch" } });
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(bridge.turns[0]).toMatchObject({ text: "well?", quote: { author: "Alan", text: "@channel lunch" } });
});

it("§14.49 names the scope when Slack serves its login page instead of a file", async () => {
  await using bridge = await openBridge();
  const fetch = await upload(bridge, PDF);
  bridge.slack.scopes.delete("files:read");
  await expect(fetch()).rejects.toMatchObject({
    code: "PLATFORM_PERMISSION",
    message: expect.stringContaining("files:read") as string,
  });
});

it("§14.49 fetches an HTML file that says it is one", async () => {
  await using bridge = await openBridge();
  const page = { name: "a.html", mimetype: "text/html", bytes: Buffer.from("<!doctype html><p>hi") };
  await using file = await (await upload(bridge, page))();
  expect(file.bytes).toBe(20);
});

it("§14.49 waits for an upload that is not ready yet", async () => {
  await using bridge = await openBridge();
  const fetch = await upload(bridge, PDF);
  bridge.slack.faults.plan("GET /files-pri", { do: "answer", status: 404 });
  await using file = await fetch();
  expect(file.bytes).toBe(13);
});

it("waits once for a file that stays empty or away: nobody has to try again", async () => {
  await using bridge = await openBridge({ speed: 100 });
  const empty = await upload(bridge, { ...PDF, bytes: Buffer.alloc(0) });
  await expect(empty()).rejects.toMatchObject({ retryable: false, cause: { code: "FILE_EMPTY" } });
  expect(bridge.fetched).toHaveLength(5);
  const late = await upload(bridge, PDF);
  bridge.slack.faults.plan("GET /files-pri", { do: "answer", status: 503 }, 5);
  await expect(late()).rejects.toMatchObject({ retryable: false, cause: { code: "FILE_GONE" } });
  expect(bridge.fetched).toHaveLength(10);
});

it("§14.24 tells apart what is deleted, kept elsewhere, and only a stub", async () => {
  await using bridge = await openBridge();
  const odd = async (fields: Record<string, unknown>): Promise<() => Promise<LocalFile>> =>
    upload(bridge, { ...PDF, odd: fields });
  await expect((await odd({ mode: "tombstone" }))()).rejects.toMatchObject({ code: "FILE_GONE" });
  await expect((await odd({ mode: "hidden_by_limit" }))()).rejects.toMatchObject({ code: "FILE_GONE" });
  const external = { mode: "external", is_external: true, url_private: "https://drive.example/x" };
  await expect((await odd(external))()).rejects.toMatchObject({ code: "FILE_FORBIDDEN_HOST" });
  expect(bridge.fetched).toEqual([]);
  await using file = await (await odd({ file_access: "check_file_info" }))();
  expect(file.bytes).toBe(13);
});

it("§14.24 brings ten files of one message, and names the one that is gone", async () => {
  await using bridge = await openBridge();
  const files = Array.from({ length: 10 }, (_, index) => ({
    ...PDF,
    name: `${index}.pdf`,
    ...(index === 4 && { odd: { mode: "tombstone" } }),
  }));
  bridge.slack.person("Ada").say(bridge.slack.general, "@Coze all of them", { files });
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const turn = toTurn(bridge.turns[0]);
  const fetch = (attachment: (typeof turn.attachments)[number]): Promise<LocalFile> =>
    bridge.adapter.fetchAttachment(turn, attachment, { maxBytes: 1_000_000, signal: bridge.signal });
  const fetched = await Promise.allSettled(turn.attachments.map(fetch));
  const gone = fetched.flatMap((result, index) => (result.status === "rejected" ? [index] : []));
  expect([fetched.length, gone]).toEqual([10, [4]]);
  for (const result of fetched) if (result.status === "fulfilled") await result.value[Symbol.asyncDispose]();
});

const API = "https://slack.com/api/";

it.each([
  "https://files.slack.com@evil.example/files-pri/T1-F1/a.pdf",
  "https://files.slack.com.evil.example/files-pri/T1-F1/a.pdf",
  "https://files.slack.com:8443/files-pri/T1-F1/a.pdf",
  "http://files.slack.com/files-pri/T1-F1/a.pdf",
  "https://fi\u0131es.slack.com/files-pri/T1-F1/a.pdf",
  "https://user:pass@files.slack.com/files-pri/T1-F1/a.pdf",
  "https://files.slack.com/api/api.test?x=1",
  "https://files.slack.com/files-pri/../api/api.test",
  "https://slack.com/files-pri/T1-F1/a.pdf",
  "http://127.0.0.1:8080/files-pri/T1-F1/a.pdf",
  "not a url",
])("§14.50 never sends the token to %s", (url) => {
  expect(mayFetch(url, API)).toBe(false);
});

it("§14.50 takes Slack's file host however it is written", () => {
  expect(mayFetch("https://files.slack.com/files-pri/T1-F1/download/a.pdf", API)).toBe(true);
  expect(mayFetch("https://FILES.SLACK.COM:443/files-pri/T1-F1/a.pdf", API)).toBe(true);
});

it("posts to response URLs of Slack only", () => {
  expect(isResponseUrl("https://hooks.slack.com/commands/T1/1/x", API)).toBe(true);
  for (const url of [
    "https://hooks.slack.com.evil.example/x",
    "http://hooks.slack.com/x",
    "http://127.0.0.1/x",
  ]) {
    expect(isResponseUrl(url, API)).toBe(false);
  }
});
