import { expect, it } from "vitest";
import { mayUpload } from "../../adapters/slack/answer-file.ts";
import type { SlackStandInOptions } from "../../sandbox/slack/slack-stand-in.ts";
import { type Fault, fastClock, type SeenMessage } from "../../sandbox/stand-in.ts";
import type { Json } from "../../src/core/json.ts";
import type { Reply } from "../../src/core/ports.ts";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

const GOES_ON = "_The answer goes on; all of it comes as a file._";
const SPEED = 10;
const CALLS = {
  ticket: "POST /api/files.getUploadURLExternal",
  bytes: "POST /upload",
  complete: "POST /api/files.completeUploadExternal",
} as const;

function open({
  slack,
  ...options
}: BridgeOptions & { slack?: SlackStandInOptions } = {}): Promise<SlackBridge> {
  return openBridge({
    speed: SPEED,
    settings: { maxReplyParts: 2 },
    slack: { clock: fastClock(SPEED), ackTimeoutMs: 30_000, ...slack },
    ...options,
  });
}

/** A message of the answer, or a stream, is one letter, 10,000 times. */
function parts(count: number): string {
  return [..."abcdefgh".slice(0, count)].map((letter) => letter.repeat(10_000)).join("\n\n");
}

const done = (text: string, notice?: string): Parameters<Reply["finish"]>[0] => ({
  answer: answer(text, { status: "completed" }),
  ...(notice !== undefined && { notice }),
});

const KINDS = ["mention", "dm", "command"] as const;
type Kind = (typeof KINDS)[number];

/** Somebody asks. @returns The place of the answer. */
async function asked({ slack, turns }: SlackBridge, kind: Kind): Promise<string> {
  const ada = slack.person("Ada");
  const before = turns.length;
  const said = {
    mention: () => ada.say(slack.general, "@Coze write"),
    dm: () => ada.dm("write"),
    command: () => ada.slash(slack.general, "write"),
  }[kind]();
  await expect.poll(() => turns.length, SOON).toBe(before + 1);
  return said.channel;
}

/** What the bot shows, letters that repeat taken together; files by what they say. */
function seen({ slack }: SlackBridge, place: string): readonly string[] {
  const own = slack.view(place).messages.filter(isOfAnswer);
  return own.flatMap(({ text, documents }) => [
    ...(text === "" ? [] : [shortened(text)]),
    ...documents.map((document) => `file ${shortened(document).replaceAll(" ", "")}`),
  ]);
}

function isOfAnswer({ bot, ephemeral, text }: SeenMessage): boolean {
  // A command's question is posted by the bot.
  return bot && ephemeral !== true && !text.includes("write");
}

function shortened(text: string): string {
  return text
    .replaceAll(/([a-h])\1{2,}/g, "$1")
    .replaceAll(/\s+/g, " ")
    .trim();
}

const logged = ({ log }: SlackBridge, message: string): readonly string[] =>
  log.filter((line) => line.message === message).map(({ fields }) => JSON.stringify(fields, errorText));

function errorText(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

it.each(KINDS)("an answer to a %s of as many messages as it may have has no file", async (kind) => {
  await using bridge = await open();
  const place = await asked(bridge, kind);
  await (await bridge.reply()).reply.finish(done(parts(2)));
  expect(seen(bridge, place)).toEqual(["a", "b"]);
  expect(callsOf(bridge.slack, "files.getUploadURLExternal")).toEqual([]);
});

it.each(KINDS)("one of one more has the whole of it in a file, after a %s", async (kind) => {
  await using bridge = await open();
  const { slack } = bridge;
  const place = await asked(bridge, kind);
  const text = `${parts(3)}\n\n| 表 | <!channel> & more |\n|---|---|\n| \`x\` | **y** |`;
  await (await bridge.reply()).reply.finish(done(text, "A notice."));
  const [, , ...rest] = seen(bridge, place);
  expect(seen(bridge, place)[0]).toBe("a");
  expect(seen(bridge, place)[1]).toMatch(
    /^b _The answer goes on; all of it comes as a file\.?_?.*A notice\._$/,
  );
  expect(rest).toHaveLength(1);
  const shown = slack.view(place).messages.at(-1);
  expect(shown).toMatchObject({
    files: ["answer.md"],
    documents: [`${text}\n`],
    parent: expect.any(String) as string,
  });
  expect(callsOf(slack, "files.completeUploadExternal")).toMatchObject([{ files: [{ title: "answer.md" }] }]);
  const [upload] = slack.traffic.exchanges.filter(({ name }) => name === CALLS.bytes);
  expect(upload?.headers).toMatchObject({ "x-request-authorization": "none" });
  // A stream stays one: nothing is edited for the file.
  if (kind === "dm") expect(callsOf(slack, "chat.update")).toEqual([]);
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it.each(["mention", "dm"] as const)(
  "says while it grows that the rest will come, and takes nothing away for that (%s)",
  async (kind) => {
    await using bridge = await open();
    const { slack } = bridge;
    const place = await asked(bridge, kind);
    const { reply } = await bridge.reply();
    const letters: number[] = [];
    slack.onChange(() => {
      const text = slack
        .view(place)
        .messages.filter(isOfAnswer)
        .map(({ text }) => text)
        .join("");
      letters.push(text.replaceAll(GOES_ON, "").replaceAll(/[^ab]/g, "").length);
    });
    for (const count of [1, 2, 3]) {
      reply.show({ answer: answer(parts(count)) });
      await expect.poll(() => seen(bridge, place).join(" "), SOON).toContain("ab".charAt(count - 1));
    }
    await expect.poll(() => seen(bridge, place), SOON).toEqual(["a", `b ${GOES_ON}`]);
    await reply.finish(done(parts(4)));
    expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abcd"]);
    expect(letters).toEqual([...letters].sort((one, other) => one - other));
  },
);

it.each(["mention", "dm"] as const)(
  "takes that back when the answer turned out shorter (%s)",
  async (kind) => {
    await using bridge = await open();
    const place = await asked(bridge, kind);
    const { reply } = await bridge.reply();
    reply.show({ answer: answer(parts(3)) });
    await expect.poll(() => seen(bridge, place), SOON).toEqual(["a", `b ${GOES_ON}`]);
    await reply.finish(done(`${parts(1)}\n\nbrief`));
    // A stream that is there stays a message of its own.
    expect(seen(bridge, place)).toEqual(kind === "dm" ? ["a", "brief"] : ["a brief"]);
  },
);

const TROUBLE: readonly (readonly [string, Fault])[] = [
  ["429", { do: "answer", status: 429, headers: { "retry-after": "1" }, body: { ok: false } }],
  ["500", { do: "answer", status: 500 }],
  ["502 after it was done", { do: "commit-then-answer", status: 502 }],
  ["a cut before it is done", { do: "reset" }],
  ["a cut after it was done", { do: "commit-then-reset" }],
];

for (const [call, name] of Object.entries(CALLS)) {
  it.each(
    TROUBLE.flatMap(([what, fault]) =>
      (["mention", "dm"] as const).map((kind) => [what, kind, fault] as const),
    ),
  )(`the file stands there once when ${call} meets %s (%s)`, async (_what, kind, fault) => {
    await using bridge = await open();
    const place = await asked(bridge, kind);
    bridge.slack.faults.plan(name, fault, 2);
    await (await bridge.reply()).reply.finish(done(parts(3)));
    expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abc"]);
  });
}

it.each([
  [false, 0],
  [false, 1_500],
  [true, 0],
  [true, 1_500],
])(
  "who goes on after a kill shares it once (uploads listed: %s, shared after %i ms)",
  async (listsUploads, sharingMs) => {
    const switches = { listsUploads, sharingMs };
    for (const fault of ["hang", "commit-then-hang"] as const) {
      for (const name of Object.values(CALLS)) {
        await using bridge = await open({ slack: { switches } });
        const place = await asked(bridge, "mention");
        const met = Promise.withResolvers<void>();
        bridge.slack.faults.plan(name, { do: fault, met: met.resolve });
        const { reply, saves } = await bridge.reply();
        // The process is gone: nobody learns what comes of this.
        void reply.finish(done(parts(3))).catch(() => undefined);
        await met.promise;
        const { reply: next } = await bridge.reply(undefined, saves.at(-1) ?? null);
        await next.finish(done(parts(3)));
        const files = [...bridge.slack.workspace.files.values()];
        expect(files.filter(({ upload }) => upload?.stage === "complete")).toHaveLength(1);
        await expect.poll(() => seen(bridge, place), SOON).toEqual(["a", `b ${GOES_ON}`, "file abc"]);
      }
    }
  },
);

it("waits as long as the host of the bytes says", async () => {
  await using bridge = await open();
  const { slack } = bridge;
  await asked(bridge, "mention");
  const refused = { do: "answer", status: 429, headers: { "retry-after": "7" }, body: "slow down" } as const;
  slack.faults.plan(CALLS.bytes, refused, 2);
  const { reply } = await bridge.reply();
  await reply.finish(done(parts(3)));
  const uploads = slack.traffic.exchanges.filter(({ name }) => name === CALLS.bytes);
  expect(uploads.map(({ status }) => status)).toEqual([429, 429, 200]);
  const gaps = uploads.slice(1).map(({ at }, index) => at - (uploads[index]?.at ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(6_900);
});

it("a reply that is tried again uploads nothing anew", async () => {
  await using bridge = await open();
  const place = await asked(bridge, "dm");
  const { reply, saves } = await bridge.reply();
  await reply.finish(done(parts(3)));
  for (const saved of [saves.at(-1) ?? null, null] as Json[]) {
    await (await bridge.reply(undefined, saved)).reply.finish(done(parts(3)));
    expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abc"]);
  }
  expect(callsOf(bridge.slack, "files.getUploadURLExternal")).toHaveLength(1);
});

it("an upload that Slack has thrown away is made anew", async () => {
  await using bridge = await open();
  const place = await asked(bridge, "mention");
  const body = { ok: false, error: "file_not_found" };
  bridge.slack.faults.plan(CALLS.complete, { do: "answer", status: 200, body });
  await (await bridge.reply()).reply.finish(done(parts(3)));
  expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abc"]);
  expect(callsOf(bridge.slack, "files.getUploadURLExternal")).toHaveLength(2);
});

it("where the app may not ask about files, none is missing, and the log says that two are possible", async () => {
  await using bridge = await open();
  const place = await asked(bridge, "mention");
  bridge.slack.scopes.delete("files:read");
  bridge.slack.faults.plan(CALLS.complete, { do: "reset" });
  await (await bridge.reply()).reply.finish(done(parts(3)));
  expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abc"]);
  expect(logged(bridge, "orphan possible").join()).toContain("files:read");
});

it("a changed question's answer has its own file, or none", async () => {
  await using bridge = await open();
  const place = await asked(bridge, "dm");
  const first = await bridge.reply();
  await first.reply.finish(done(parts(3)));
  const redo = async (text: string, earlier: Json | undefined): Promise<Json | undefined> => {
    const { reply, saves } = await bridge.reply(undefined, undefined, { earlier: earlier ?? null });
    await reply.finish(done(text));
    return saves.at(-1) ?? earlier;
  };
  const second = await redo(parts(5), first.saves.at(-1));
  expect(seen(bridge, place)).toEqual(["a", `b ${GOES_ON}`, "file abcde"]);
  await redo(parts(1), second);
  expect(seen(bridge, place)).toEqual(["a"]);
  expect(bridge.slack.workspace.files.size).toBe(0);
});

it.each(["mention", "dm"] as const)(
  "without files:write the whole answer stands in messages, and the log says what to add (%s)",
  async (kind) => {
    const scopes = ["app_mentions:read", "chat:write", "channels:history", "im:history", "users:read"];
    await using bridge = await open({ slack: { scopes } });
    const place = await asked(bridge, kind);
    const { reply } = await bridge.reply();
    reply.show({ answer: answer(parts(3)) });
    await expect.poll(() => seen(bridge, place), SOON).toEqual(["a", `b ${GOES_ON}`]);
    await reply.finish(done(parts(4), "A notice."));
    expect(seen(bridge, place)).toEqual(["a", "b", "c", "d _A notice._"]);
    const lines = logged(bridge, "slack feature is not available in this workspace");
    expect(lines.join()).toContain("the app lacks the scope files:write");
    expect(logged(bridge, "slack app lacks a scope").join()).toContain("files:write");
    // It is known from now on.
    const before = callsOf(bridge.slack, "files.getUploadURLExternal").length;
    const again = await asked(bridge, kind);
    const next = await bridge.reply(undefined, undefined, { reference: "R4T9ZX" });
    next.reply.show({ answer: answer(parts(3)) });
    await expect.poll(() => seen(bridge, again), SOON).toHaveLength(7);
    await next.reply.finish(done(parts(3)));
    expect(seen(bridge, again).slice(4)).toEqual(["a", "b", "c"]);
    expect(callsOf(bridge.slack, "files.getUploadURLExternal")).toHaveLength(before);
  },
);

it.each([
  ["the workspace forbids them", CALLS.ticket, { ok: false, error: "file_uploads_disabled" }],
  ["the disk is full", CALLS.ticket, { ok: false, error: "storage_limit_reached" }],
  [
    "the address is not Slack's",
    CALLS.ticket,
    { ok: true, upload_url: "https://files.slack.com.evil.example/upload/v1/x", file_id: "F1" },
  ],
  ["it may not be posted", CALLS.complete, { ok: false, error: "posting_to_channel_denied" }],
])("the same goes when %s", async (_why, call, body) => {
  await using bridge = await open();
  const place = await asked(bridge, "mention");
  bridge.slack.faults.plan(call, { do: "answer", status: 200, body });
  await (await bridge.reply()).reply.finish(done(parts(4)));
  expect(seen(bridge, place)).toEqual(["a", "b", "c", "d"]);
});

it("ends with its thread", async () => {
  await using bridge = await open();
  await asked(bridge, "mention");
  const body = { ok: false, error: "channel_not_found" };
  bridge.slack.faults.plan(CALLS.complete, { do: "answer", status: 200, body });
  const { reply } = await bridge.reply();
  await expect(reply.finish(done(parts(3)))).rejects.toMatchObject({ code: "PLATFORM_GONE" });
});

it("where only the sender sees the answer it says in words that it cannot be whole", async () => {
  await using bridge = await open({ slack: { scopes: ["commands", "chat:write", "users:read"] } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.secret, "write");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  await (await bridge.reply()).reply.finish(done(parts(3)));
  const own = slack.view(slack.secret).messages.filter(({ ephemeral, text }) => ephemeral && text !== "");
  expect(own.at(-1)?.text).toContain("The answer is too long for here; the rest is not shown.");
});

it.each([
  ["https://files.slack.com/upload/v1/abc", "https://slack.com/api/", true],
  ["https://files.slack.com.evil.example/upload/v1/abc", "https://slack.com/api/", false],
  ["https://files.slack.com@evil.example/upload", "https://slack.com/api/", false],
  ["https://me:pass@files.slack.com/upload", "https://slack.com/api/", false],
  ["https://files.slack.com:8443/upload", "https://slack.com/api/", false],
  ["http://files.slack.com/upload", "https://slack.com/api/", false],
  ["http://127.0.0.1:8080/upload", "http://127.0.0.1:8080/api/", true],
  ["http://127.0.0.1:8081/upload", "http://127.0.0.1:8080/api/", false],
  ["https://slack.com/upload", "https://slack.com/api/", false],
])("sends bytes to %s, with the API at %s: %s", (url, apiUrl, allowed) => {
  expect(mayUpload(url, apiUrl)).toBe(allowed);
});
