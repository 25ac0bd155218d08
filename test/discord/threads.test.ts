import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { threadName } from "../../adapters/discord/thread.ts";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { Reply } from "../../src/core/ports.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { MemoryStore } from "../core/platform-double.ts";
import { answerOf, type Bridge, calls, openBridge, QUICK_TIME } from "./harness.ts";

const THREADS = /^POST \/channels\/\d+\/messages\/\d+\/threads$/;

let discord: DiscordStandIn;
let bridge: Bridge;

beforeEach(async () => {
  discord = await startDiscord({ clock: QUICK_TIME, messageContent: true });
  bridge = await openBridge(discord, { clock: QUICK_TIME });
});

afterEach(async () => {
  await bridge[Symbol.asyncDispose]();
  await discord[Symbol.asyncDispose]();
});

/** Each by another person, unless told who: one person's questions in a channel are answered one after the other. */
async function ask(
  text = "@Coze hi",
  place = discord.general,
  who = `asker ${bridge.turns.length}`,
): Promise<IncomingTurn> {
  const before = bridge.turns.length;
  discord.person(who).say(place, text);
  await expect.poll(() => bridge.turns.length).toBe(before + 1);
  const turn = bridge.turns.at(-1);
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

function done(text: string): Parameters<Reply["finish"]>[0] {
  return { answer: answerOf(text, true) };
}

/** What the bot says in a place. */
function saidIn(place: string): readonly string[] {
  return discord
    .view(place)
    .messages.filter(({ bot, text }) => bot && text !== "")
    .map(({ text }) => text);
}

function messageOf(turn: IncomingTurn): string {
  return /(\d+)#r0$/.exec(turn.id)?.[1] ?? "";
}

/** Every call that changes a channel, or a message in one. */
const CHANGES = /^PATCH \/(channels|webhooks)\//;

describe("§11.36 a thread that somebody archives while an answer grows in it", () => {
  const growing = async (): Promise<{ reply: Reply; thread: string }> => {
    const first = await bridge.reply(await ask("@Coze one"));
    const second = await ask("@Coze two");
    const reply = await bridge.reply(second);
    reply.show({ answer: answerOf("The moon") });
    const thread = messageOf(second);
    await expect.poll(() => saidIn(thread)).toEqual(["The moon"]);
    await first.finish(done("one"));
    return { reply, thread };
  };
  /** Calls since then, without ids, and how each ended. */
  const changesSince = (before: number): readonly string[] =>
    calls(discord, CHANGES)
      .slice(before)
      .map(
        ({ name, status }) => `${name.replaceAll(/\/\d+/g, "").replaceAll(/\/[\w-]{20,}/g, "")} ${status}`,
      );

  it("is opened again for the end, in the same message, and for no draft", async () => {
    const { reply, thread } = await growing();
    discord.archiveThread(thread);
    const before = calls(discord, CHANGES).length;
    reply.show({ answer: answerOf("The moon pulls") });
    await expect.poll(() => changesSince(before)).toEqual(["PATCH /channels/messages 400"]);
    await reply.finish(done("The moon pulls."));
    expect(saidIn(thread)).toEqual(["The moon pulls."]);
    expect(changesSince(before)).toEqual([
      "PATCH /channels/messages 400",
      "PATCH /channels/messages 400",
      "PATCH /channels 200",
      "PATCH /channels/messages 200",
    ]);
  });

  it("stays as it is where it is locked, too, and nobody knocks on and on", async () => {
    const { reply, thread } = await growing();
    discord.archiveThread(thread, { locked: true });
    const before = calls(discord, CHANGES).length;
    await expect(reply.finish(done("The moon pulls."))).rejects.toMatchObject({
      code: "PLATFORM_PERMISSION",
      platformCode: "160005",
    });
    expect(saidIn(thread)).toEqual(["The moon"]);
    expect(changesSince(before)).toEqual(["PATCH /channels/messages 400", "PATCH /channels 403"]);
  });

  it("is opened once: whoever archives it again means it", async () => {
    const { reply, thread } = await growing();
    discord.archiveThread(thread);
    const before = calls(discord, CHANGES).length;
    const leave = discord.traffic.onExchange(({ name, status }) => {
      if (/^PATCH \/channels\/\d+$/.test(name) && status === 200) discord.archiveThread(thread);
    });
    await expect(reply.finish(done("The moon pulls."))).rejects.toMatchObject({ platformCode: "50083" });
    leave();
    expect(changesSince(before).filter((change) => change.startsWith("PATCH /channels 2"))).toHaveLength(1);
  });

  it("waits where Discord wants it to, and lets the messages' own limit alone", async () => {
    const { reply, thread } = await growing();
    discord.archiveThread(thread);
    const body = { message: "You are being rate limited.", retry_after: 0.5, global: false };
    const headers = { "retry-after": "0.5" };
    discord.faults.plan(`PATCH /channels/${thread}`, { do: "answer", status: 429, body, headers });
    await reply.finish(done("The moon pulls."));
    expect(saidIn(thread)).toEqual(["The moon pulls."]);
  });

  it("is opened for the end of a command, too", async () => {
    const thread = discord.addThread(discord.general, "talk");
    discord.person("Ada").slash(thread, { question: "why?" });
    await expect.poll(() => bridge.turns.length).toBe(1);
    const [turn] = bridge.turns;
    if (turn === undefined) throw new Error("no turn");
    const reply = await bridge.reply(turn);
    discord.archiveThread(thread);
    await reply.finish(done("Because."));
    expect(saidIn(thread)).toEqual(["Because."]);
  });
});

describe("a second answer in a channel", () => {
  it("goes into a thread under its question, opened before there is anything to show", async () => {
    const [first, second] = [await ask("@Coze one"), await ask("@Coze what are tides?")];
    const one = await bridge.reply(first);
    const two = await bridge.reply(second);
    await expect.poll(() => calls(discord, THREADS)).toHaveLength(1);
    two.show({ answer: answerOf("The moon") });
    one.show({ answer: answerOf("Once") });
    const thread = messageOf(second);
    await expect.poll(() => saidIn(thread)).toEqual(["The moon"]);
    expect(discord.world.channels.get(thread)?.name).toBe("what are tides?");
    const { messageKeys } = await two.finish(done("The moon pulls."));
    await one.finish(done("Once upon a time."));
    expect(saidIn(thread)).toEqual(["The moon pulls."]);
    expect(saidIn(discord.general)).toEqual(["Once upon a time."]);
    // What is said in the thread, and to its messages, goes on with the conversation.
    expect(messageKeys).toEqual([
      `discord:${thread}:${thread}`,
      expect.stringMatching(new RegExp(`^discord:${thread}:(?!${thread}$)\\d+$`)),
    ]);
  });

  it("is the first one again when the other has ended, or was left to another start", async () => {
    await (await bridge.reply(await ask())).finish(done("one"));
    await (await bridge.reply(await ask())).abandon();
    await (await bridge.reply(await ask())).finish(done("three"));
    expect(saidIn(discord.general)).toEqual(["one", "three"]);
    expect(calls(discord, THREADS)).toEqual([]);
  });

  it("knows of the answers of other processes", async () => {
    const store = new MemoryStore();
    await using here = await openBridge(discord, { clock: QUICK_TIME, intake: false, store });
    await using there = await openBridge(discord, { clock: QUICK_TIME, intake: false, store });
    const [first, second] = [await ask(), await ask()];
    const one = await here.reply(first);
    await (await there.reply(second)).finish(done("two"));
    await one.finish(done("one"));
    expect(saidIn(messageOf(second))).toEqual(["two"]);
    expect(saidIn(discord.general)).toEqual(["one"]);
  });

  it("stays in the channel where the first is of the same conversation, so is over, whatever was noted", async () => {
    const store = new MemoryStore();
    const [first, second] = [
      await ask("@Coze one", discord.general, "Ada"),
      await ask("@Coze two", discord.general, "Ada"),
    ];
    {
      await using killed = await openBridge(discord, { clock: QUICK_TIME, intake: false, store });
      await killed.reply(first);
    }
    await using later = await openBridge(discord, { clock: QUICK_TIME, intake: false, store });
    await (await later.reply(second)).finish(done("two"));
    expect(calls(discord, THREADS)).toEqual([]);
    expect(saidIn(discord.general)).toEqual(["two"]);
    await (await later.reply(await ask())).finish(done("three"));
    expect(saidIn(discord.general)).toEqual(["two", "three"]);
  });

  it("stays in the channel where the operator wants that", async () => {
    await using quiet = await openBridge(discord, {
      ...{ clock: QUICK_TIME, intake: false, secondAnswer: "channel" },
    });
    const one = await quiet.reply(await ask());
    await (await quiet.reply(await ask())).finish(done("two"));
    await one.finish(done("one"));
    expect(calls(discord, THREADS)).toEqual([]);
    expect(saidIn(discord.general)).toEqual(["two", "one"]);
  });

  it.each([
    ["it may open none", (): void => discord.deny(discord.general, "createThreads")],
    [
      "Discord wants it to wait for minutes",
      (): void =>
        discord.faults.plan(THREADS, {
          do: "answer",
          status: 429,
          body: { message: "You are being rate limited.", retry_after: 219, global: false },
          headers: { "retry-after": "219", "x-ratelimit-scope": "shared" },
        }),
    ],
    [
      "Discord has trouble",
      (): void => discord.faults.plan(THREADS, { do: "answer", status: 500, body: {} }),
    ],
  ])("goes into the channel where %s, without waiting", async (_why, spoil) => {
    const [first, second] = [await ask(), await ask()];
    spoil();
    const one = await bridge.reply(first);
    const two = await bridge.reply(second);
    two.show({ answer: answerOf("tw") });
    await two.finish(done("two"));
    await one.finish(done("one"));
    expect(saidIn(discord.general)).toEqual(["two", "one"]);
    // Before anything was said there: a killed process' successor looks in one place only.
    const message: unknown = expect.stringMatching(/^\d+$/);
    expect(bridge.saves.slice(0, 3)).toEqual([
      { messages: [], thread: true },
      { messages: [] },
      { messages: [message] },
    ]);
  });

  it("opens no thread in a direct message", async () => {
    const dm = discord.person("Ada").dmChannel;
    const [first, second] = [await ask("hi", dm, "Ada"), await ask("you there?", dm, "Ada")];
    const one = await bridge.reply(first);
    await (await bridge.reply(second)).finish(done("two"));
    await one.finish(done("one"));
    expect(calls(discord, THREADS)).toEqual([]);
  });
});

describe("after a crash", () => {
  /** A second answer that an earlier process has begun, and what that one saved. */
  async function begun(text: string | undefined): Promise<IncomingTurn> {
    const [first, second] = [await ask(), await ask()];
    await bridge.reply(first);
    const reply = await bridge.reply(second);
    if (text !== undefined) reply.show({ answer: answerOf(text) });
    const thread = messageOf(second);
    await expect
      .poll(() => (text === undefined ? calls(discord, THREADS).length : saidIn(thread).length))
      .toBe(1);
    return second;
  }

  it("it goes on in its thread, also where only the decision was saved", async () => {
    const turn = await begun(undefined);
    await using later = await openBridge(discord, { clock: QUICK_TIME, intake: false });
    await (await later.reply(turn, { saved: { messages: [], thread: true } })).finish(done("all of it"));
    expect(saidIn(messageOf(turn))).toEqual(["all of it"]);
    expect(saidIn(discord.general)).toEqual([]);
  });

  it("a message that was not saved any more is not made again", async () => {
    const turn = await begun("half");
    expect(bridge.saves[0]).toEqual({ messages: [], thread: true });
    await using later = await openBridge(discord, { clock: QUICK_TIME, intake: false });
    await (await later.reply(turn, { saved: { messages: [], thread: true } })).finish(done("half and half"));
    expect(saidIn(messageOf(turn))).toEqual(["half and half"]);
  });

  it("one that was begun in the channel stays there", async () => {
    const [first, second] = [await ask(), await ask()];
    await bridge.reply(first);
    await (await bridge.reply(second, { again: true })).finish(done("two"));
    expect(calls(discord, THREADS)).toEqual([]);
    expect(saidIn(discord.general)).toEqual(["two"]);
  });
});

it("what is said in the thread needs no mention, and leads back to the conversation", async () => {
  const [first, second] = [await ask(), await ask()];
  const one = await bridge.reply(first);
  await (await bridge.reply(second)).finish(done("two"));
  const thread = messageOf(second);
  const next = await ask("and why?", thread);
  expect(next).toMatchObject({ text: "and why?", continues: `discord:${thread}:${thread}` });
  await one.finish(done("one"));
});

it.each([
  ["what are\ntides?", "what are tides?"],
  [" \u0007 ", "Answer"],
  ["x".repeat(100), `${"x".repeat(99)}…`],
  [`${"x".repeat(97)}👨‍👩‍👧‍👦!`, `${"x".repeat(97)}…`],
  ["潮汐是什么？", "潮汐是什么？"],
])("a thread for %j is called %j", (text, name) => {
  expect(threadName(text, "en")).toBe(name);
});
