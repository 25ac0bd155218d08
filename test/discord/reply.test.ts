import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { type SeenMessage, VirtualClock } from "../../sandbox/stand-in.ts";
import type { Reply } from "../../src/core/ports.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { answerOf, type Bridge, CREATE, calls, EDIT, openBridge, QUICK_TIME } from "./harness.ts";

/** Shorter than the time-outs of calls: who waits for a hanging one is stuck. */
const STUCK_MS = 6_000;

let discord: DiscordStandIn;
let bridge: Bridge;

beforeEach(async () => {
  discord = await startDiscord({ clock: QUICK_TIME });
  bridge = await openBridge(discord, { clock: QUICK_TIME, secondAnswer: "channel" });
});

afterEach(async () => {
  await bridge[Symbol.asyncDispose]();
  await discord[Symbol.asyncDispose]();
});

/** Somebody asks, and the turn arrives. */
async function ask(text = "@Coze hi", place = discord.general): Promise<IncomingTurn> {
  const before = bridge.turns.length;
  discord.person("Ada").say(place, text);
  await expect.poll(() => bridge.turns.length).toBe(before + 1);
  const turn = bridge.turns.at(-1);
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

function fromBot(place = discord.general): readonly SeenMessage[] {
  return discord.view(place).messages.filter(({ bot }) => bot);
}

function done(text: string): Parameters<Reply["finish"]>[0] {
  return { answer: answerOf(text, true) };
}

describe("a reply", () => {
  it("shows typing at once, then a message that grows, and no typing after it", async () => {
    const turn = await ask("@Coze tell me a story");
    const reply = await bridge.reply(turn);
    await expect.poll(() => discord.view(discord.general).status).toBe("Coze is typing…");
    reply.show({ answer: answerOf("Once") });
    await expect.poll(() => fromBot().at(-1)?.text).toBe("Once");
    expect(discord.view(discord.general).status).toBe("");
    const { messageKeys } = await reply.finish(done("Once upon a time."));
    const [shown] = fromBot();
    expect(shown).toMatchObject({
      text: "Once upon a time.",
      parent: turn.id.split(":")[3]?.replace("#r0", ""),
    });
    expect(messageKeys).toEqual([`discord:${discord.general}:${shown?.id}`]);
  });

  it("replies with its first message only, and has a nonce on each", async () => {
    const reply = await bridge.reply(await ask());
    await reply.finish(done(`${"a".repeat(1990)}\n\n${"b".repeat(1990)}`));
    expect(fromBot().map(({ parent }) => parent !== undefined)).toEqual([true, false]);
    const bodies = calls(discord, CREATE).map(
      ({ request }) => request as { nonce: string; enforce_nonce: boolean },
    );
    expect(bodies.every(({ nonce, enforce_nonce: enforced }) => nonce.length === 22 && enforced)).toBe(true);
    expect(new Set(bodies.map(({ nonce }) => nonce)).size).toBe(2);
  });

  it("edits the messages of an earlier attempt instead of posting again", async () => {
    const turn = await ask();
    const first = await bridge.reply(turn);
    first.show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    await first.abandon();
    const second = await bridge.reply(turn, { saved: bridge.saved ?? null });
    await second.finish(done("whole"));
    expect(fromBot().map(({ text }) => text)).toEqual(["whole"]);
    expect(calls(discord, CREATE)).toHaveLength(1);
  });

  it.each([false, true])(
    "takes a message away that the end no longer needs (gone already: %s)",
    async (gone) => {
      const reply = await bridge.reply(await ask());
      reply.show({ answer: answerOf(`${"a".repeat(1990)}\n\n${"b".repeat(1990)}`) });
      await expect.poll(() => fromBot()).toHaveLength(2);
      await expect
        .poll(() => bridge.saved)
        .toMatchObject({ messages: [expect.anything(), expect.anything()] });
      if (gone) discord.removeMessage(fromBot()[1]?.id ?? "");
      const { messageKeys } = await reply.finish(done("short"));
      expect(fromBot().map(({ text }) => text)).toEqual(["short"]);
      expect(messageKeys).toHaveLength(1);
    },
  );

  it("§11.23 of a hundred changes sends few, and ends with the last", async () => {
    const reply = await bridge.reply(await ask());
    for (let count = 1; count <= 100; count += 1) reply.show({ answer: answerOf("x".repeat(count)) });
    await reply.finish(done("the end"));
    expect(calls(discord, EDIT).length).toBeLessThanOrEqual(4);
    expect(fromBot().map(({ text }) => text)).toEqual(["the end"]);
  });

  it("§11.24 three answers in one channel all arrive, without one refusal", async () => {
    const turns = [await ask(), await ask(), await ask()];
    const replies = await Promise.all(turns.map((turn) => bridge.reply(turn)));
    for (const [index, reply] of replies.entries()) reply.show({ answer: answerOf(`start ${index}`) });
    await Promise.all(replies.map((reply, index) => reply.finish(done(`end ${index}`))));
    expect(
      fromBot()
        .map(({ text }) => text)
        .sort(),
    ).toEqual(["end 0", "end 1", "end 2"]);
    expect(discord.traffic.exchanges.filter(({ status }) => status === 429)).toEqual([]);
  });

  it("§11.32 never posts an empty message", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("  ") });
    await reply.finish(done("  "));
    expect(fromBot().map(({ text }) => text)).toEqual(["-# The bot had nothing to say to this."]);
  });

  it("§11.33 pings nobody, whatever the model wrote", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("@everyone") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    await reply.finish(done("@everyone and <@&100000000000000001>"));
    const bodies = [...calls(discord, CREATE), ...calls(discord, EDIT)].map(({ request }) => request);
    expect(bodies.length).toBeGreaterThanOrEqual(2);
    for (const body of bodies) {
      expect(body).toMatchObject({ allowed_mentions: { parse: [], replied_user: false } });
    }
  });

  it.each([
    ["a message", () => discord.person("Ada").say(discord.general, "@Coze hi")],
    ["a command", () => discord.person("Ada").slash(discord.general, { question: "hi" })],
    [
      "a command where the bot is not",
      () => discord.person("Ada").slash(discord.general, { question: "hi", userInstall: true }),
    ],
  ])("shows no pages that it links to, in answer to %s", async (_what, say) => {
    say();
    await expect.poll(() => bridge.turns.length).toBe(1);
    const reply = await bridge.reply(bridge.turns[0] ?? (await ask()));
    const link = "see https://pages.example/a";
    reply.show({ answer: answerOf(link) });
    await expect.poll(() => fromBot()[0]?.text).toBe(link);
    await reply.finish(done(`${link} and ${"b".repeat(1_980)}\n\n${link} at the end`));
    const shown = discord.world.messagesIn(discord.general).filter(({ author }) => author.bot === true);
    expect(shown.length).toBeGreaterThan(1);
    expect(shown.map(({ flags, embeds }) => [flags & 4, embeds])).toEqual(shown.map(() => [4, []]));
  });

  it("§11.21 keeps notice and answer apart by their nonces", async () => {
    discord.person("Ada").dm("");
    await expect.poll(() => calls(discord, CREATE)).toHaveLength(1);
    const reply = await bridge.reply(await ask());
    await reply.finish(done("answer"));
    const nonces = calls(discord, CREATE).map(({ request }) => (request as { nonce: string }).nonce);
    expect(new Set(nonces).size).toBe(2);
  });
});

describe("a create that goes wrong", () => {
  it.each(["commit-then-reset", "reset"] as const)(
    "§11.17 is repeated under its nonce after %s",
    async (fault) => {
      discord.faults.plan(CREATE, { do: fault });
      const reply = await bridge.reply(await ask());
      reply.show({ answer: answerOf("first words") });
      await reply.finish(done("all the words"));
      expect(fromBot().map(({ text }) => text)).toEqual(["all the words"]);
      const nonces = calls(discord, CREATE).map(({ request }) => (request as { nonce: string }).nonce);
      expect(new Set(nonces).size).toBe(1);
      expect(nonces).toHaveLength(2);
    },
  );

  it.each([
    ["502 before it happened", { do: "answer", status: 502 }],
    ["500 after it happened", { do: "commit-then-answer", status: 500 }],
  ] as const)("§11.18 ends in one message after a %s", async (_name, fault) => {
    discord.faults.plan(CREATE, fault);
    const reply = await bridge.reply(await ask());
    await reply.finish(done("answer"));
    expect(fromBot().map(({ text }) => text)).toEqual(["answer"]);
  });

  it("§11.19 finds the message of a process that died before it knew its id", async () => {
    const turn = await ask();
    const first = await bridge.reply(turn);
    first.show({ answer: answerOf("old") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    await first.abandon();
    const second = await bridge.reply(turn);
    await second.finish(done("new"));
    expect(fromBot().map(({ text }) => text)).toEqual(["new"]);
  });

  it("§11.20 is not repeated once a moderator has removed the message", async () => {
    const turn = await ask();
    const first = await bridge.reply(turn);
    await first.finish(done("answer"));
    discord.removeMessage(fromBot()[0]?.id ?? "");
    const second = await bridge.reply(turn);
    await expect(second.finish(done("answer"))).rejects.toMatchObject({ code: "PLATFORM_GONE" });
    expect(fromBot()).toEqual([]);
  });

  it("§11.34 goes without a reference when the history may not be read", async () => {
    discord.deny(discord.general, "readHistory");
    const reply = await bridge.reply(await ask());
    await reply.finish(done("answer"));
    expect(fromBot()).toMatchObject([{ text: "answer" }]);
    expect(fromBot()[0]?.parent).toBeUndefined();
  });

  it("§11.34 goes without a reference when its message is gone", async () => {
    const errors = {
      message_reference: {
        _errors: [{ code: "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", message: "Unknown message" }],
      },
    };
    discord.faults.plan(CREATE, {
      do: "answer",
      status: 400,
      body: { code: 50035, message: "Invalid Form Body", errors },
    });
    const reply = await bridge.reply(await ask());
    await reply.finish(done("answer"));
    expect(fromBot()[0]?.parent).toBeUndefined();
  });

  it.each(["sendMessages", "viewChannel"] as const)("fails for good without %s", async (permission) => {
    const turn = await ask();
    discord.deny(discord.general, permission);
    const reply = await bridge.reply(turn);
    await expect(reply.finish(done("answer"))).rejects.toMatchObject({
      code: "PLATFORM_PERMISSION",
      retryable: false,
    });
    expect(calls(discord, CREATE)).toHaveLength(1);
  });
});

it("§11.35 a channel that refused us is left alone for a minute, and nobody is asked in vain", async () => {
  const clock = new VirtualClock(0);
  await using slow = await openBridge(discord, { clock });
  const turn = await ask();
  discord.deny(discord.general, "sendMessages");
  await expect((await slow.reply(turn)).finish(done("answer"))).rejects.toThrow("50013");
  const before = calls(discord, /./).length;
  await expect(slow.reply(turn)).rejects.toMatchObject({ code: "PLATFORM_PERMISSION" });
  expect(calls(discord, /./)).toHaveLength(before);
  clock.advance(60_000);
  await expect((await slow.reply(turn)).finish(done("answer"))).rejects.toThrow("50013");
});

describe("an edit that goes wrong", () => {
  it("§11.20 stops when somebody removed the message", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    discord.removeMessage(fromBot()[0]?.id ?? "");
    await expect(reply.finish(done("whole"))).rejects.toMatchObject({ code: "PLATFORM_GONE" });
    expect(fromBot()).toEqual([]);
  });

  it("§11.29 waits for a slow draft, and ends with the final text", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("one") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    discord.faults.plan(EDIT, { do: "delay", ms: 300 });
    reply.show({ answer: answerOf("one two") });
    await expect.poll(() => calls(discord, EDIT).length + 1).toBeGreaterThan(0);
    await reply.finish(done("one two three"));
    expect(fromBot().map(({ text }) => text)).toEqual(["one two three"]);
    const sent = calls(discord, EDIT).map(({ request }) => (request as { content: string }).content);
    expect(sent.at(-1)).toBe("one two three");
  });

  it("§11.38 leaves the text and says so when AutoMod refuses it", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    const blocked = { code: 200000, message: "Message was blocked by automatic moderation" };
    discord.faults.plan(EDIT, { do: "answer", status: 400, body: blocked }, 10);
    await expect(reply.finish(done("half a bad word"))).rejects.toMatchObject({ code: "PLATFORM_REJECTED" });
    expect(fromBot().map(({ text }) => text)).toEqual([
      "half",
      "-# The answer could not be shown here. (K7Q2FM)",
    ]);
    expect(calls(discord, EDIT).length).toBeLessThanOrEqual(2);
  });
});

describe("limits", () => {
  it.each([
    ["user", { "retry-after": "0.2", "x-ratelimit-remaining": "0", "x-ratelimit-scope": "user" }],
    ["shared", { "retry-after": "0.2", "x-ratelimit-remaining": "4", "x-ratelimit-scope": "shared" }],
    ["global", { "retry-after": "0.2", "x-ratelimit-global": "true", "x-ratelimit-scope": "global" }],
  ])("§11.26 a 429 of scope %s is waited out once", async (_scope, headers) => {
    const body = { message: "You are being rate limited.", retry_after: 0.2, global: false };
    discord.faults.plan(CREATE, { do: "answer", status: 429, body, headers });
    const reply = await bridge.reply(await ask());
    await reply.finish(done("answer"));
    expect(calls(discord, CREATE).map(({ status }) => status)).toEqual([429, 200]);
  });

  it("§11.26 a 429 for all of the bot's calls holds back every channel, and no interaction", async () => {
    const [first, second] = [await ask(), await ask("@Coze too", discord.addChannel("other"))];
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await expect.poll(() => bridge.turns).toHaveLength(3);
    const command = bridge.turns.at(-1);
    if (command === undefined) throw new Error("no turn");
    const body = { message: "You are being rate limited.", retry_after: 20, global: true };
    const headers = {
      "retry-after": "20",
      "x-ratelimit-global": "true",
      "x-ratelimit-scope": "global",
    };
    discord.faults.plan(CREATE, { do: "answer", status: 429, body, headers });
    const replies = await Promise.all([first, second, command].map((turn) => bridge.reply(turn)));
    replies[0]?.show({ answer: answerOf("one") });
    await expect.poll(() => calls(discord, CREATE).map(({ status }) => status)).toEqual([429]);
    replies[1]?.show({ answer: answerOf("two") });
    await replies[2]?.finish(done("three"));
    expect(fromBot().map(({ text }) => text)).toEqual(["three"]);
    expect(calls(discord, CREATE)).toHaveLength(1);
    await Promise.all([replies[0]?.finish(done("one")), replies[1]?.finish(done("two"))]);
    expect(calls(discord, CREATE).map(({ status }) => status)).toEqual([429, 200, 200]);
  });

  it("§11.26 more answers at once than the bot may have calls a second meet no refusal", async () => {
    await bridge[Symbol.asyncDispose]();
    await discord[Symbol.asyncDispose]();
    // By real time: on a quick clock a hiccup of the machine is as much longer, and what it holds back comes at once.
    discord = await startDiscord();
    bridge = await openBridge(discord);
    for (let index = 0; index < 60; index += 1) {
      discord.person("Ada").say(discord.addChannel(`channel-${index}`), "@Coze hi");
    }
    await expect.poll(() => bridge.turns).toHaveLength(60);
    const replies = await Promise.all(bridge.turns.map((turn) => bridge.reply(turn)));
    await Promise.all(replies.map((reply) => reply.finish(done("answer"))));
    expect(calls(discord, CREATE).map(({ status }) => status)).toEqual(bridge.turns.map(() => 200));
  });

  it("§11.26 an HTML 429 without Retry-After is not hammered at", async () => {
    const reply = await bridge.reply(await ask());
    discord.faults.plan(CREATE, { do: "answer", status: 429, body: "<html>slow down</html>" }, 100);
    reply.show({ answer: answerOf("answer") });
    await expect.poll(() => calls(discord, CREATE).length).toBe(1);
    const others = await ask("@Coze again", discord.addChannel("other"));
    await (await bridge.reply(others)).abandon();
    expect(calls(discord, CREATE)).toHaveLength(1);
  });

  it("a ban of the address stops every call at once", async () => {
    const turns = [await ask(), await ask("@Coze too", discord.addChannel("other"))];
    discord.faults.plan(/./, { do: "answer", status: 403, body: "<html>error code: 1015</html>" }, 100);
    const before = calls(discord, /./).length;
    for (const turn of turns) {
      const reply = await bridge.reply(turn);
      reply.show({ answer: answerOf("answer") });
      await expect.poll(() => calls(discord, /./).length).toBeGreaterThan(before);
      await reply.abandon();
    }
    expect(calls(discord, /./).length - before).toBeLessThanOrEqual(2);
  });

  it.each(["none", "outer"] as const)("§11.27 keeps its pace with headers: %s", async (headers) => {
    discord.limits.switches.headers = headers;
    const reply = await bridge.reply(await ask());
    for (const text of ["a", "ab", "abc"]) {
      reply.show({ answer: answerOf(text) });
      await expect.poll(() => fromBot()[0]?.text).toBe(text);
    }
    await reply.finish(done("abcd"));
    expect(discord.traffic.exchanges.filter(({ status }) => status === 429)).toEqual([]);
  });

  it("§11.28 a create does not wait for edits that Discord says are spent", async () => {
    const reply = await bridge.reply(await ask());
    reply.show({ answer: answerOf("a") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    // The same bucket name as the create's, and an hour to wait.
    discord.faults.plan(EDIT, {
      do: "answer",
      status: 200,
      body: { id: fromBot()[0]?.id, content: "ab" },
      headers: {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset-after": "3600",
        "x-ratelimit-bucket": "4b2a6cf26c5a8f1e",
      },
    });
    reply.show({ answer: answerOf("ab") });
    await expect.poll(() => calls(discord, EDIT)).toHaveLength(1);
    await (await bridge.reply(await ask())).finish(done("at once"));
    expect(fromBot().at(-1)?.text).toBe("at once");
    await reply.finish(done("abc"));
  });

  it("§11.28 a final edit does not wait for creates that Discord says are spent", async () => {
    // The client learns the name of the bucket from calls of both kinds: only then would they share a queue.
    const first = await bridge.reply(await ask("@Coze hi", discord.general));
    first.show({ answer: answerOf("1") });
    await expect.poll(() => fromBot()).toHaveLength(1);
    await first.finish(done("1, done"));
    const ours = discord.world.addMessage({
      channelId: discord.general,
      author: discord.world.bot,
      content: "a",
    });
    discord.faults.plan(CREATE, {
      do: "answer",
      status: 200,
      body: { id: ours.id, content: "a" },
      headers: {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset-after": "3600",
        "x-ratelimit-bucket": "4b2a6cf26c5a8f1e",
      },
    });
    const other = await bridge.reply(await ask());
    other.show({ answer: answerOf("a") });
    await expect.poll(() => calls(discord, CREATE)).toHaveLength(2);
    await other.finish(done("ab"));
    expect(fromBot().map(({ text }) => text)).toEqual(["1, done", "ab"]);
  });

  it(
    "§11.29 a final edit does not wait behind another answer's draft that hangs",
    async () => {
      const one = await bridge.reply(await ask());
      one.show({ answer: answerOf("one") });
      await expect.poll(() => fromBot()).toHaveLength(1);
      const two = await bridge.reply(await ask());
      two.show({ answer: answerOf("two") });
      await expect.poll(() => fromBot()).toHaveLength(2);
      discord.faults.plan(EDIT, { do: "hang" });
      one.show({ answer: answerOf("one more") });
      await expect.poll(() => calls(discord, EDIT)).toHaveLength(1);
      await two.finish(done("two, done"));
      expect(fromBot().map(({ text }) => text)).toEqual(["one", "two, done"]);
    },
    STUCK_MS,
  );
});

it("types no more once the first text is there, and again every eight seconds before", async () => {
  const clock = new VirtualClock(0);
  await using slow = await openBridge(discord, { clock });
  const reply = await slow.reply(await ask());
  const typed = (): number => calls(discord, /typing$/).length;
  await expect.poll(typed).toBe(1);
  clock.advance(8_000);
  await expect.poll(typed).toBe(2);
  reply.show({ answer: answerOf("text") });
  await expect.poll(() => fromBot()).toHaveLength(1);
  clock.advance(60_000);
  await reply.finish(done("text, done"));
  expect(typed()).toBe(2);
  expect(discord.view(discord.general).status).toBe("");
});

it("§11.40 a refused token stops everything at once", async () => {
  const turn = await ask();
  discord.faults.plan(/typing$/, { do: "hang" });
  discord.faults.plan(CREATE, { do: "answer", status: 401, body: { message: "401: Unauthorized", code: 0 } });
  const reply = await bridge.reply(turn);
  await expect(reply.finish(done("answer"))).rejects.toMatchObject({
    code: "PLATFORM_AUTH",
    retryable: false,
  });
  const again = await bridge.reply(turn);
  await expect(again.finish(done("answer"))).rejects.toMatchObject({ code: "PLATFORM_AUTH" });
  expect(calls(discord, CREATE)).toHaveLength(1);
});
