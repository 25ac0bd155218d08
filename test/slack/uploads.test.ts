import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SlackStandIn, startSlack } from "../../sandbox/slack/slack-stand-in.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";

// What Slack's stand-in takes of an upload, and what it refuses (slack.md §5).

type Answer = Readonly<Record<string, unknown>>;

let clock: VirtualClock;
let slack: SlackStandIn;

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2026, 0, 2));
  slack = await startSlack({ clock });
});

afterEach(() => slack[Symbol.asyncDispose]());

async function call(method: string, args: object): Promise<Answer> {
  const response = await fetch(`${slack.apiUrl}${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${slack.botToken}`, "content-type": "application/json" },
    body: JSON.stringify(args),
  });
  return (await response.json()) as Answer;
}

interface Ticket {
  readonly url: string;
  readonly id: string;
}

async function ticket(length = 2): Promise<Ticket> {
  const { upload_url: url, file_id: id } = await call("files.getUploadURLExternal", {
    filename: "a.md",
    length,
  });
  return { url: String(url), id: String(id) };
}

const send = async (url: string, body: string | FormData = "hi", method = "POST"): Promise<number> =>
  (await fetch(url, { method, body })).status;

const complete = ({ id }: Ticket, args: object = {}): Promise<Answer> =>
  call("files.completeUploadExternal", { files: [{ id, title: "A" }], channel_id: slack.general, ...args });

const shown = (): readonly string[] =>
  slack.view(slack.general).messages.flatMap(({ files, documents }) => [...files, ...documents]);

describe("an upload", () => {
  it("takes the bytes once, by POST, of the length that was said, at an address nobody can guess", async () => {
    const one = await ticket();
    expect(new URL(one.url).origin).toBe(slack.origin);
    expect(one.url).not.toContain(one.id);
    expect(await send(one.url, "hi", "PUT")).toBe(405);
    expect(await send(one.url, "hello")).toBe(400);
    expect(await send(one.url)).toBe(200);
    expect(await send(one.url)).toBe(404);
    expect(await send(`${slack.origin}/upload/v1/${one.id}`)).toBe(404);
  });

  it("may come as a form with one file", async () => {
    const form = new FormData();
    form.append("filename", new Blob(["hi"]), "Untitled");
    const one = await ticket();
    expect(await send(one.url, form)).toBe(200);
    expect((await complete(one))["ok"]).toBe(true);
    expect(shown()).toEqual(["a.md", "hi"]);
  });

  it("is complete once, after its bytes", async () => {
    const one = await ticket();
    expect((await complete(one))["error"]).toBe("file_not_found");
    await send(one.url);
    expect(await complete(one)).toMatchObject({ ok: true, files: [{ id: one.id, title: "A" }] });
    expect((await complete(one))["error"]).toBe("file_not_found");
    expect(shown()).toEqual(["a.md", "hi"]);
  });

  it.each([
    ["channel_not_found", { channel_id: "C0NOWHERE1" }],
    ["not_in_channel", "random"],
    ["channel_not_found", "secret"],
    ["file_update_failed", { thread_ts: "1.000002" }],
    ["file_not_found", { files: [] }],
  ])("is refused as %s where it cannot be shared (%o)", async (error, args) => {
    const one = await ticket();
    await send(one.url);
    const where = typeof args === "string" ? { channel_id: slack[args as "random" | "secret"] } : args;
    expect((await complete(one, where))["error"]).toBe(error);
    expect((await complete(one))["ok"]).toBe(true);
  });

  it("hangs at the root of a thread only, and not in an archived channel", async () => {
    const { ts } = await call("chat.postMessage", { channel: slack.general, text: "root" });
    const { ts: reply } = await call("chat.postMessage", {
      channel: slack.general,
      thread_ts: ts,
      text: "reply",
    });
    const one = await ticket();
    await send(one.url);
    expect((await complete(one, { thread_ts: reply }))["error"]).toBe("file_update_failed");
    const channel = slack.workspace.channels.get(slack.general);
    if (channel !== undefined) channel.archived = true;
    expect((await complete(one, { thread_ts: ts }))["error"]).toBe("posting_to_channel_denied");
  });

  it("needs a name, a length above 0 and below a gigabyte, and the scope", async () => {
    const ask = async (args: object): Promise<unknown> =>
      (await call("files.getUploadURLExternal", args))["error"];
    expect(await ask({ filename: "a.md", length: 0 })).toBe("missing_argument");
    expect(await ask({ length: 1 })).toBe("invalid_arguments");
    expect(await ask({ filename: "a.md", length: 1_073_741_825 })).toBe("file_upload_size_restricted");
    slack.scopes.delete("files:write");
    for (const method of ["getUploadURLExternal", "completeUploadExternal", "delete"]) {
      expect(await call(`files.${method}`, {})).toMatchObject({
        error: "missing_scope",
        needed: "files:write",
      });
    }
  });
});

describe("files.info", () => {
  it.each([true, false])("knows an upload before its end: %s", async (listsUploads) => {
    await slack[Symbol.asyncDispose]();
    slack = await startSlack({ clock, switches: { listsUploads, sharingMs: 2_000 } });
    const one = await ticket();
    await send(one.url);
    const info = (): Promise<Answer> => call("files.info", { file: one.id });
    expect(await info()).toMatchObject(
      listsUploads ? { file: { shares: {} } } : { ok: false, error: "file_not_found" },
    );
    await complete(one);
    expect(await info()).toMatchObject({ file: { shares: {}, title: "A" } });
    expect(shown()).toEqual([]);
    clock.advance(2_000);
    const [message] = slack.view(slack.general).messages;
    expect(await info()).toMatchObject({
      file: { shares: { public: { [slack.general]: [{ ts: message?.id }] } } },
    });
    expect(shown()).toEqual(["a.md", "hi"]);
  });
});

describe("files.delete", () => {
  it("takes the message along that was nothing else, once, and no file of other people", async () => {
    const one = await ticket();
    await send(one.url);
    await complete(one);
    expect((await call("files.delete", { file: one.id }))["ok"]).toBe(true);
    expect((await call("files.delete", { file: one.id }))["error"]).toBe("file_not_found");
    expect(slack.view(slack.general).messages).toEqual([]);
    const theirs = slack.newFile({ name: "b.md", mimetype: "text/markdown", bytes: Buffer.from("b") });
    expect((await call("files.delete", { file: theirs.id }))["error"]).toBe("cant_delete_file");
  });
});
