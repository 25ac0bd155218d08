import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { type Fault, type SeenMessage, VirtualClock } from "../../sandbox/stand-in.ts";
import type { Json } from "../../src/core/json.ts";
import type { Reply } from "../../src/core/ports.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { discordViolations } from "./discord-spec.ts";
import { answerOf, type Bridge, type BridgeOptions, calls, openBridge, QUICK_TIME } from "./harness.ts";

const GOES_ON = "-# The answer goes on; all of it comes as a file.";
const EDIT = /^PATCH \/(channels|webhooks)\//;
/** A message of the answer is one letter, 1,990 times. */
const LETTERS = "abcdefgh";

let discord: DiscordStandIn;

beforeEach(async () => {
  discord = await startDiscord({ clock: QUICK_TIME, answerWithinMs: 30_000 });
});

afterEach(async () => {
  expect(discordViolations(discord.traffic.exchanges)).toEqual([]);
  await discord[Symbol.asyncDispose]();
});

function open(options: BridgeOptions = {}): Promise<Bridge> {
  return openBridge(discord, { clock: QUICK_TIME, maxReplyParts: 2, ...options });
}

function parts(count: number): string {
  return [...LETTERS.slice(0, count)].map((letter) => letter.repeat(1_990)).join("\n\n");
}

const done = (text: string, notice?: string): Parameters<Reply["finish"]>[0] => ({
  answer: answerOf(text, true),
  ...(notice !== undefined && { notice }),
});

async function asked(bridge: Bridge, ask: () => void): Promise<IncomingTurn> {
  const before = bridge.turns.length;
  ask();
  await expect.poll(() => bridge.turns.length).toBe(before + 1);
  const turn = bridge.turns.at(-1);
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

const mention = (bridge: Bridge): Promise<IncomingTurn> =>
  asked(bridge, () => discord.person("Ada").say(discord.general, "@Coze write"));

function fromBot(place = discord.general): readonly SeenMessage[] {
  return discord.view(place).messages.filter(({ bot }) => bot);
}

/** By message: its letter, or what it says; and the letters of its file. */
function seen(place = discord.general): readonly string[] {
  return fromBot(place).flatMap(({ text, documents }) => [
    text.startsWith("-#") ? text : text.slice(0, 1),
    ...documents.map((document) => `file ${document.replaceAll(/(.)\1+/g, "$1").replaceAll("\n", "")}`),
  ]);
}

describe("an answer", () => {
  it("of as many messages as it may have has no file", async () => {
    await using bridge = await open();
    await (await bridge.reply(await mention(bridge))).finish(done(parts(2)));
    expect(seen()).toEqual(["a", "b"]);
  });

  it("of one more has the whole of it in a file, as the bot wrote it", async () => {
    await using bridge = await open();
    const text = `${parts(2)}\n\n| 表 | @everyone |\n|---|---|\n| \`x\` | **y** |`;
    await (await bridge.reply(await mention(bridge))).finish(done(text, "A notice."));
    expect(seen().slice(0, 3)).toEqual(["a", "b", `${GOES_ON}\n-# A notice.`]);
    expect(fromBot().at(-1)).toMatchObject({ files: ["answer.md"], documents: [`${text}\n`] });
    const [file] = discord.world.messagesIn(discord.general).flatMap(({ attachments }) => attachments);
    expect(file?.content_type).toBe("text/markdown; charset=utf-8");
  });

  it("says while it grows that the rest will come, and takes nothing away for that", async () => {
    await using bridge = await open();
    const reply = await bridge.reply(await mention(bridge));
    const shown: string[] = [];
    discord.onChange(() =>
      shown.push(
        fromBot()
          .map(({ text }) => text)
          .join(""),
      ),
    );
    for (const count of [1, 2, 3, 4]) {
      reply.show({ answer: answerOf(parts(count)) });
      await expect.poll(() => fromBot()).toHaveLength(Math.min(3, count));
    }
    expect(seen()).toEqual(["a", "b", GOES_ON]);
    await reply.finish(done(parts(4)));
    expect(seen()).toEqual(["a", "b", GOES_ON, "file abcd"]);
    const letters = shown.map((text) => text.replaceAll(/[^ab]/g, "").length);
    expect(letters).toEqual([...letters].sort((one, other) => one - other));
    expect(calls(discord, EDIT).length).toBeLessThanOrEqual(4);
  });

  it("that turned out shorter than its draft takes that sentence back", async () => {
    await using bridge = await open();
    const reply = await bridge.reply(await mention(bridge));
    reply.show({ answer: answerOf(parts(3)) });
    await expect.poll(() => seen()).toEqual(["a", "b", GOES_ON]);
    await reply.finish(done(parts(2)));
    expect(seen()).toEqual(["a", "b"]);
  });
});

const TROUBLE: readonly (readonly [string, Fault])[] = [
  ["429", { do: "answer", status: 429, headers: { "retry-after": "1" }, body: { retry_after: 1 } }],
  ["500", { do: "answer", status: 500 }],
  ["500 after it was done", { do: "commit-then-answer", status: 502 }],
  ["a cut before it is done", { do: "reset" }],
  ["a cut after it was done", { do: "commit-then-reset" }],
];

describe.each(TROUBLE)("when the file's call meets %s", (_what, fault) => {
  it.each(["mention", "command"])("it stands there once all the same, after a %s", async (kind) => {
    await using bridge = await open();
    const turn = await asked(bridge, () => {
      const ada = discord.person("Ada");
      if (kind === "mention") ada.say(discord.general, "@Coze write");
      else ada.slash(discord.general, { question: "write" });
    });
    // A command's first message is an edit, too.
    const first = kind === "command" ? 1 : 0;
    discord.faults.plan(EDIT, fault, 2, first);
    await (await bridge.reply(turn)).finish(done(parts(3)));
    expect(seen()).toEqual(["a", "b", GOES_ON, "file abc"]);
  });
});

it("a reply that is tried again has one file, also when the messages could not be saved", async () => {
  await using bridge = await open();
  const turn = await mention(bridge);
  await (await bridge.reply(turn)).finish(done(parts(3)));
  for (const saved of [bridge.saved, undefined] as (Json | undefined)[]) {
    const reply = await bridge.reply(turn, { again: true, ...(saved !== undefined && { saved }) });
    await reply.finish(done(parts(3)));
    expect(seen()).toEqual(["a", "b", GOES_ON, "file abc"]);
  }
});

it("a changed question's answer has its own file, or none", async () => {
  await using bridge = await open();
  const turn = await mention(bridge);
  await (await bridge.reply(turn)).finish(done(parts(3)));
  const second = await bridge.reply(turn, { earlier: bridge.saved ?? null });
  second.show({ answer: answerOf(parts(3)) });
  await expect.poll(() => fromBot().at(-1)?.documents).toEqual([]);
  await second.finish(done(parts(5)));
  expect(seen()).toEqual(["a", "b", GOES_ON, "file abcde"]);
  await (await bridge.reply(turn, { earlier: bridge.saved ?? null })).finish(done(parts(1)));
  expect(seen()).toEqual(["a"]);
});

describe("where the bot may not attach files", () => {
  it("the whole answer stands in messages, and the log names the right", async () => {
    await using bridge = await open();
    discord.deny(discord.general, "attachFiles");
    const reply = await bridge.reply(await mention(bridge));
    reply.show({ answer: answerOf(parts(3)) });
    await expect.poll(() => seen()).toEqual(["a", "b", GOES_ON]);
    await reply.finish(done(parts(5)));
    expect(seen()).toEqual(["a", "b", "c", "d", "e"]);
    expect(bridge.log).toContainEqual(
      expect.objectContaining({
        level: "warn",
        message: "discord took no file",
        fields: expect.objectContaining({ right: "Attach Files" }) as object,
      }),
    );
  });

  it.each([
    ["one that is too large", { status: 400, body: { code: 50045, message: "File too large" } }],
    ["a server that limits uploads", { status: 403, body: { code: 400_001, message: "Limited" } }],
  ])("the same goes for %s", async (_what, answer) => {
    await using bridge = await open();
    discord.faults.plan(EDIT, { do: "answer", ...answer });
    await (await bridge.reply(await mention(bridge))).finish(done(parts(4)));
    expect(seen()).toEqual(["a", "b", "c", "d"]);
  });

  it("an answer that nobody may read any more ends as one", async () => {
    await using bridge = await open();
    const body = { code: 10_008, message: "Unknown Message" };
    discord.faults.plan(EDIT, { do: "answer", status: 404, body });
    const reply = await bridge.reply(await mention(bridge));
    await expect(reply.finish(done(parts(3)))).rejects.toMatchObject({ code: "PLATFORM_GONE" });
  });
});

describe("a command where the bot itself is not", () => {
  const askPrivately = (bridge: Bridge): Promise<IncomingTurn> =>
    asked(bridge, () => discord.person("Ada").slash(discord.general, { question: "w", userInstall: true }));

  it("has its file within the five follow-ups there are, whatever the setting", async () => {
    await using bridge = await open({ maxReplyParts: 20 });
    await (await bridge.reply(await askPrivately(bridge))).finish(done(parts(8)));
    expect(seen()).toEqual(["a", "b", "c", "d", "e", GOES_ON, "file abcdefgh"]);
    expect(calls(discord, /^POST \/channels/)).toEqual([]);
  });

  it("says that the rest is not shown where no file may be", async () => {
    await using bridge = await open();
    discord.deny(discord.general, "attachFiles");
    await (await bridge.reply(await askPrivately(bridge))).finish(done(parts(8), "A notice."));
    const sentence = "-# The answer is too long for this place; the rest is not shown.\n-# A notice.";
    expect(seen()).toEqual(["a", "b", "c", "d", "e", sentence]);
  });
});

describe.each([false, true])("long after a kill (nonces listed: %s)", (listsNonces) => {
  it("the message of the file is found, and that of another answer is not taken for it", async () => {
    await discord[Symbol.asyncDispose]();
    const clock = new VirtualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
    discord = await startDiscord({ clock, listsNonces });
    await using bridge = await open({ wallNow: () => clock.now(), clock: undefined });
    const turn = await mention(bridge);
    const other = await asked(bridge, () => discord.person("Bob").say(discord.general, "@Coze too"));
    const killed = await bridge.reply(turn);
    killed.show({ answer: answerOf(parts(2)) });
    await expect.poll(() => (bridge.saved as { messages: string[] } | undefined)?.messages).toHaveLength(2);
    const saved = bridge.saved ?? null;
    killed.show({ answer: answerOf(parts(3)) });
    await expect.poll(() => fromBot()).toHaveLength(3);
    await killed.abandon();
    clock.advance(10_000);
    await (await bridge.reply(other)).finish(done(parts(4)));
    clock.advance(20 * 60_000);
    await (await bridge.reply(turn, { again: true, saved })).finish(done(parts(3)));
    expect(seen()).toEqual(["a", "b", GOES_ON, "file abc", "a", "b", GOES_ON, "file abcd"]);
  });
});
