import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { type SeenMessage, VirtualClock } from "../../sandbox/stand-in.ts";
import type { Json } from "../../src/core/json.ts";
import type { Reply } from "../../src/core/ports.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { openSealer } from "../../src/store/sealer.ts";
import {
  answerOf,
  type Bridge,
  type BridgeOptions,
  CREATE,
  calls,
  HOOK_EDIT,
  openBridge,
} from "./harness.ts";

const MINUTE = 60_000;
const LIST = /^GET \/channels\/\d+\/messages$/;

let clock: VirtualClock;
let discord: DiscordStandIn;

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
  discord = await startDiscord({ clock });
});

afterEach(() => discord[Symbol.asyncDispose]());

function open(options: BridgeOptions = {}): Promise<Bridge> {
  return openBridge(discord, { wallNow: () => clock.now(), ...options });
}

async function turnOf(bridge: Bridge): Promise<IncomingTurn> {
  await expect.poll(() => bridge.turns.length).toBeGreaterThan(0);
  const turn = bridge.turns.at(-1);
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

function fromBot(place = discord.general): readonly SeenMessage[] {
  return discord.view(place).messages.filter(({ bot }) => bot);
}

const done = (text: string): Parameters<Reply["finish"]>[0] => ({ answer: answerOf(text, true) });
const LONG = `${"a".repeat(1990)}\n\n${"b".repeat(1990)}`;

/** A process that dies once this many messages are on screen: what it saved is only what it had saved before the last. */
async function dies(
  turn: IncomingTurn,
  text: string,
  place: string,
  messages: number,
): Promise<Json | undefined> {
  await using bridge = await open({ intake: false });
  const reply = await bridge.reply(turn);
  const saved: (Json | undefined)[] = [];
  reply.show({ answer: answerOf(text) });
  await expect
    .poll(() => {
      saved.push(bridge.saved);
      return fromBot(place).length;
    })
    .toBe(messages);
  await reply.abandon();
  const ids = (bridge.saved as { messages: string[] }).messages;
  return messages === 1 ? undefined : { messages: ids.slice(0, messages - 1) };
}

describe.each([false, true])("killed between a create and its save (nonces listed: %s)", (listsNonces) => {
  beforeEach(async () => {
    await discord[Symbol.asyncDispose]();
    discord = await startDiscord({ clock, listsNonces });
  });

  it.each([
    ["within the nonce's window", 10_000, 0],
    ["§11.19 long after it", 20 * MINUTE, 1],
  ])("ends in one message, %s", async (_when, later, listed) => {
    await using bridge = await open();
    for (const place of [discord.general, discord.person("Ada").dmChannel]) {
      discord.person("Ada").say(place, "@Coze hi");
      await expect.poll(() => bridge.turns.at(-1)?.dedupeKey).toContain(place);
      const turn = await turnOf(bridge);
      await dies(turn, "half of", place, 1);
      // What is odd among the messages hides none of them.
      const odd: object = { nonce: null, message_reference: "?" };
      discord.person("Bob").say(place, "something else", { extras: odd });
      clock.advance(later);
      const before = calls(discord, LIST).length;
      const reply = await bridge.reply(turn, { again: true });
      await reply.finish(done("half of the answer"));
      expect(fromBot(place).map(({ text }) => text)).toEqual(["half of the answer"]);
      expect(calls(discord, LIST).length - before).toBe(listed);
    }
  });

  it("ends in one message of the thread that it went into", async () => {
    await using bridge = await open();
    discord.person("Bob").say(discord.general, "@Coze first");
    await bridge.reply(await turnOf(bridge));
    discord.person("Ada").say(discord.general, "@Coze hi");
    await expect.poll(() => bridge.turns).toHaveLength(2);
    const turn = await turnOf(bridge);
    const thread = /(\d+)#r0$/.exec(turn.id)?.[1] ?? "";
    const reply = await bridge.reply(turn);
    reply.show({ answer: answerOf("half of") });
    await expect.poll(() => fromBot(thread).map(({ text }) => text)).toContain("half of");
    await reply.abandon();
    discord.person("Bob").say(thread, "something else");
    clock.advance(20 * MINUTE);
    const saved = { messages: [], thread: true };
    await (await bridge.reply(turn, { again: true, saved })).finish(done("half of the answer"));
    const said = fromBot(thread).filter(({ text }) => text.startsWith("half"));
    expect(said.map(({ text }) => text)).toEqual(["half of the answer"]);
    expect(fromBot()).toEqual([]);
  });

  it("finds a later part too, and takes no other answer for it", async () => {
    await using bridge = await open();
    discord.person("Ada").say(discord.general, "@Coze long");
    const turn = await turnOf(bridge);
    const saved = await dies(turn, LONG, discord.general, 2);
    expect(saved).toMatchObject({ messages: [expect.anything()] });
    discord.world.addMessage({ channelId: discord.general, author: discord.world.bot, content: "cccc" });
    clock.advance(20 * MINUTE);
    const reply = await bridge.reply(turn, { again: true, saved: saved ?? null });
    await reply.finish(done(`${LONG} the end`));
    expect(fromBot().map(({ text }) => text.at(-1))).toEqual(["a", "d", "c"]);
  });
});

it("long after, a reply to somebody else's question is not taken for ours", async () => {
  await using bridge = await open();
  discord.person("Ada").say(discord.general, "@Coze one");
  const one = await turnOf(bridge);
  discord.person("Bob").say(discord.general, "@Coze two");
  await expect.poll(() => bridge.turns).toHaveLength(2);
  await (await bridge.reply(await turnOf(bridge))).finish(done("for Bob"));
  clock.advance(20 * MINUTE);
  await (await bridge.reply(one, { again: true })).finish(done("for Ada"));
  expect(fromBot().map(({ text }) => text)).toEqual(["for Bob", "for Ada"]);
});

it("long after, what cannot be listed right now is not made anew", async () => {
  await using bridge = await open();
  discord.person("Ada").say(discord.general, "@Coze hi");
  const turn = await turnOf(bridge);
  await dies(turn, "half", discord.general, 1);
  clock.advance(20 * MINUTE);
  discord.faults.plan(LIST, { do: "answer", status: 500 });
  const reply = await bridge.reply(turn, { again: true });
  await reply.finish(done("whole"));
  expect(fromBot().map(({ text }) => text)).toEqual(["whole"]);
});

it("long after, without the right to read the history, the answer still comes", async () => {
  await using bridge = await open();
  discord.person("Ada").say(discord.general, "@Coze hi");
  const turn = await turnOf(bridge);
  discord.deny(discord.general, "readHistory");
  clock.advance(20 * MINUTE);
  await (await bridge.reply(turn, { again: true })).finish(done("whole"));
  expect(fromBot().map(({ text }) => text)).toEqual(["whole"]);
});

describe("a command that another process goes on with", () => {
  it("is answered through its token, which the key file opens", async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "coze-bridge-test-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    clock.advance(Date.now() - clock.now());
    const sealer = (): ReturnType<typeof openSealer> => openSealer({ keyFile: join(folder, "secret.key") });
    const bridge = await open({ sealer: await sealer() });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const turn = await turnOf(bridge);
    (await bridge.reply(turn)).show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()[0]?.text).toBe("half");
    await bridge[Symbol.asyncDispose]();
    await using next = await open({ sealer: await sealer(), intake: false });
    await (await next.reply(turn, { again: true })).finish(done("whole"));
    expect(fromBot()).toMatchObject([{ text: "whole", unfinished: false }]);
    expect(calls(discord, HOOK_EDIT).length).toBeGreaterThanOrEqual(2);
    expect(calls(discord, CREATE)).toEqual([]);
  });

  it.each([true, false])(
    "§11.44 is answered in the channel after fifteen minutes, in the same message (its id told: %s)",
    async (tellsResponseId) => {
      await using plain = await startDiscord({ clock, tellsResponseId });
      await using bridge = await openBridge(plain, { wallNow: () => clock.now() });
      plain.person("Ada").slash(plain.general, { question: "why?" });
      const turn = await turnOf(bridge);
      const first = await bridge.reply(turn);
      first.show({ answer: answerOf("half") });
      const shown = (): readonly string[] => plain.view(plain.general).messages.map(({ text }) => text);
      await expect.poll(shown).toEqual(["half"]);
      await first.abandon();
      clock.advance(20 * MINUTE);
      await (await bridge.reply(turn, { again: true })).finish(done("whole"));
      expect(shown()).toEqual(["whole"]);
    },
  );
});

it("half an answer stays when a later start has none of it, and what became of it stands below", async () => {
  await using bridge = await open();
  discord.person("Ada").say(discord.general, "@Coze hi");
  const turn = await turnOf(bridge);
  const killed = await bridge.reply(turn);
  killed.show({ answer: answerOf("Half of it") });
  await expect.poll(() => fromBot().map(({ text }) => text)).toEqual(["Half of it"]);
  await killed.abandon();
  const again = await bridge.reply(turn, { saved: bridge.saved ?? null });
  const failed = { answer: answerOf(""), notice: "Sorry." };
  await again.finish(failed);
  expect(fromBot().map(({ text }) => text)).toEqual(["Half of it", "-# Sorry."]);
  // It did not live to tell that it had said so.
  await (await bridge.reply(turn, { saved: bridge.saved ?? null })).finish(failed);
  expect(fromBot().map(({ text }) => text)).toEqual(["Half of it", "-# Sorry."]);
  // An answer to an edited question stands in the place of the old one.
  await (await bridge.reply(turn, { earlier: bridge.saved ?? null })).finish(failed);
  expect(fromBot().map(({ text }) => text)).toEqual(["-# Sorry."]);
});
