import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { COZE_COMMAND } from "../../adapters/discord/commands.ts";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { fastClock, type SeenMessage, VirtualClock } from "../../sandbox/stand-in.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { MemoryStore } from "../core/platform-double.ts";
import { answerOf, type Bridge, CREATE, calls, EDIT, HOOK_EDIT, openBridge } from "./harness.ts";

const CALLBACK = /^POST \/interactions\//;
const FOLLOW_UP = /^POST \/webhooks\//;
const MINUTE = 60_000;
const REFUSED = { do: "answer", status: 500 } as const;
const UNAVAILABLE = "-# The bridge cannot take questions right now. Please try again in a minute.";

let clock: VirtualClock;
let discord: DiscordStandIn;
let store: MemoryStore;

beforeEach(async () => {
  store = new MemoryStore();
  clock = new VirtualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
  discord = await startDiscord({ clock });
});

afterEach(() => discord[Symbol.asyncDispose]());

function open(options: Parameters<typeof openBridge>[1] = {}): Promise<Bridge> {
  return openBridge(discord, { wallNow: () => clock.now(), store, ...options });
}

/** Discord's time, with its limits and pauses, is 50 times as fast; networks are as slow as ever. */
async function openFast(): Promise<
  AsyncDisposable & {
    readonly quick: DiscordStandIn;
    readonly bridge: Bridge;
    /** The next acknowledgement takes so many ms of the world. */
    delay(ms: number): void;
  }
> {
  const speed = 50;
  const fast = fastClock(speed);
  const quick = await startDiscord({ clock: fast, answerWithinMs: 3_000 * speed });
  const bridge = await openBridge(quick, { wallNow: () => fast.now(), clock: fast });
  return {
    quick,
    bridge,
    delay: (ms) => quick.faults.plan(CALLBACK, { do: "delay", ms: ms * speed }),
    [Symbol.asyncDispose]: async () => {
      await bridge[Symbol.asyncDispose]();
      await quick[Symbol.asyncDispose]();
    },
  };
}

async function turnOf(bridge: Bridge): Promise<Bridge["turns"][number]> {
  await expect.poll(() => bridge.turns).toHaveLength(1);
  const [turn] = bridge.turns;
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

/** The same once its acknowledgement is through, and noted down. */
async function acknowledgedTurnOf(bridge: Bridge): Promise<Bridge["turns"][number]> {
  const turn = await turnOf(bridge);
  const noted = (): Promise<unknown> => store.get("discord-response", turn.dedupeKey.split(":").at(-1) ?? "");
  await expect.poll(noted, { timeout: 5_000 }).toBeDefined();
  return turn;
}

function fromBot(): readonly SeenMessage[] {
  return discord.view(discord.general).messages.filter(({ bot }) => bot);
}

const done = (text: string): { answer: ReturnType<typeof answerOf> } => ({ answer: answerOf(text, true) });

describe("a slash command", () => {
  it("is answered outside the bot's 50 calls a second, however many others are (§1.2)", async () => {
    await using bridge = await open();
    const { length } = Array.from({ length: 60 }, (_, index) =>
      discord.person(`asker ${index}`).slash(discord.general, { question: "why?" }),
    );
    await expect.poll(() => calls(discord, CALLBACK), { timeout: 10_000 }).toHaveLength(length);
    const replies = await Promise.all(bridge.turns.map((turn) => bridge.reply(turn)));
    await Promise.all(replies.map((reply) => reply.finish(done("because"))));
    expect(calls(discord, HOOK_EDIT)).toHaveLength(length);
    const complaints = bridge.log.filter(({ message }) => message === "reply could not be written");
    expect(complaints).toEqual([]);
  });

  it("is stored before it is acknowledged, then answered in place", async () => {
    const acknowledged: boolean[] = [];
    await using bridge = await open({
      onTurn: () => Promise.resolve(void acknowledged.push(calls(discord, CALLBACK).length > 0)),
    });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    expect(acknowledged).toEqual([false]);
    reply.show({ answer: answerOf("Because") });
    await expect.poll(() => fromBot()[0]?.text).toBe("Because");
    const { messageKeys } = await reply.finish(done("Because of this."));
    expect(fromBot()).toMatchObject([{ text: "Because of this.", unfinished: false }]);
    expect(messageKeys).toEqual([`discord:${discord.general}:${fromBot()[0]?.id}`]);
    expect(calls(discord, /typing$/)).toEqual([]);
  });

  it("is acknowledged all the same while the queue takes its time", async () => {
    const { promise: stored, resolve: store } = Promise.withResolvers<void>();
    await using bridge = await open({ onTurn: () => stored });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await expect.poll(fromBot, { timeout: 5_000 }).toMatchObject([{ unfinished: true }]);
    expect(bridge.turns).toEqual([]);
    store();
    await (await bridge.reply(await turnOf(bridge))).finish(done("Because."));
    expect(fromBot()).toMatchObject([{ text: "Because.", unfinished: false }]);
  });

  it("that a slow queue does not take in the end says so in the deferred reply", async () => {
    const { promise: stored, reject: refuse } = Promise.withResolvers<void>();
    await using _bridge = await open({ onTurn: () => stored });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await expect.poll(fromBot, { timeout: 5_000 }).toMatchObject([{ unfinished: true }]);
    refuse(new BridgeError("QUEUE_UNAVAILABLE", "down"));
    await expect.poll(fromBot).toMatchObject([{ text: UNAVAILABLE, unfinished: false }]);
  });

  it.each([
    ["waits for the one before it, so that answers stand in order", REFUSED, ["first", "second"]],
    ["does not wait for one that hangs", { do: "hang" }, ["second", "first"]],
  ] as const)("%s", async (_what, fault, expected) => {
    await using bridge = await open();
    discord.faults.plan(CALLBACK, fault);
    const ada = discord.person("Ada");
    const asked = new Map([
      [ada.slash(discord.general, { question: "why?" }), "first"],
      [ada.slash(discord.general, { question: "how?" }), "second"],
    ]);
    await expect.poll(() => bridge.turns).toHaveLength(2);
    const taken = (): readonly (string | undefined)[] =>
      calls(discord, CALLBACK)
        .filter(({ status }) => status === 200)
        .map(({ name }) => asked.get(name.split("/")[2] ?? ""));
    await expect.poll(taken, { timeout: 5_000 }).toEqual(expected);
  });

  it("waits as long for the one before it where the clock of limits and pauses is faster", async () => {
    await using scene = await openFast();
    const { quick, bridge } = scene;
    scene.delay(200);
    const ada = quick.person("Ada");
    const asked = ["why?", "how?"].map((question) => ada.slash(quick.general, { question }));
    const taken = (): readonly string[] =>
      calls(quick, CALLBACK)
        .filter(({ status }) => status === 200)
        .map(({ name }) => name.split("/")[2] ?? "");
    await expect.poll(taken, { timeout: 5_000 }).toEqual(asked);
    expect(bridge.turns).toHaveLength(2);
  });

  it("may be answered before its acknowledgement is through, in the same message", async () => {
    await using bridge = await open();
    discord.faults.plan(CALLBACK, { do: "answer", status: 500 }, 3);
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    reply.show({ answer: answerOf("Be") });
    await reply.finish(done("Because."));
    expect(calls(discord, HOOK_EDIT).map(({ status }) => status)).toContain(404);
    expect(fromBot()).toMatchObject([{ text: "Because.", unfinished: false }]);
    expect(calls(discord, CREATE)).toEqual([]);
  });

  it("waits as long for its acknowledgement where the clock of limits and pauses is faster", async () => {
    await using scene = await openFast();
    const { quick, bridge } = scene;
    scene.delay(300);
    quick.person("Ada").slash(quick.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    await reply.finish(done("Because."));
    const shown = quick.view(quick.general).messages.filter(({ bot }) => bot);
    expect(shown).toMatchObject([{ text: "Because.", unfinished: false }]);
    expect(calls(quick, CREATE)).toEqual([]);
  });

  it("whose acknowledgement never came is answered in the channel", async () => {
    await using bridge = await open();
    discord.faults.plan(CALLBACK, { do: "answer", status: 500 }, 10);
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    const finished = reply.finish(done("Because."));
    await expect.poll(() => calls(discord, HOOK_EDIT).map(({ status }) => status)).toContain(404);
    clock.advance(5_000);
    await finished;
    expect(fromBot()).toMatchObject([{ text: "Because." }]);
    expect(calls(discord, CREATE)).toHaveLength(1);
  });

  it("§11.47 uses no bot token on its own routes", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    await reply.finish(done("Because."));
    await expect.poll(() => calls(discord, CALLBACK)).toHaveLength(1);
    const open_ = [...calls(discord, CALLBACK), ...calls(discord, HOOK_EDIT)];
    const authorizations = open_.map(({ headers }) => headers?.["request-authorization"]);
    expect(new Set(authorizations)).toEqual(new Set(["none"]));
    expect(calls(discord, CREATE)).toEqual([]);
  });

  it("puts later parts into the channel, where they have a nonce", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "more" });
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge));
    await reply.finish(done(`${"a".repeat(1990)}\n\n${"b".repeat(1990)}`));
    expect(fromBot().map(({ text }) => text[0])).toEqual(["a", "b"]);
    expect(calls(discord, CREATE)).toHaveLength(1);
    expect(calls(discord, FOLLOW_UP)).toEqual([]);
  });

  it("of a user's own installation gets follow-ups instead, and none of them twice", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "more", userInstall: true });
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge));
    discord.faults.plan(FOLLOW_UP, { do: "commit-then-reset" });
    await expect(reply.finish(done(`${"a".repeat(1990)}\n\n${"b".repeat(1990)}`))).rejects.toMatchObject({
      code: "PLATFORM_UNKNOWN_OUTCOME",
      retryable: false,
    });
    expect(fromBot().map(({ text }) => text[0])).toEqual(["a", "b"]);
  });

  it("of a user's own installation gets none twice of a draft, either", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "more", userInstall: true });
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge));
    discord.faults.plan(FOLLOW_UP, { do: "commit-then-reset" });
    const text = (size: number): string => `${"a".repeat(1990)}\n\n${"b".repeat(size)}`;
    reply.show({ answer: answerOf(text(10)) });
    await expect.poll(() => calls(discord, FOLLOW_UP).length).toBe(1);
    reply.show({ answer: answerOf(text(20)) });
    await expect(reply.finish(done(text(30)))).rejects.toMatchObject({ code: "PLATFORM_UNKNOWN_OUTCOME" });
    expect(fromBot().map(({ text: said }) => said[0])).toEqual(["a", "b"]);
    expect(calls(discord, FOLLOW_UP)).toHaveLength(1);
  });

  it("that cannot be stored says so at once, and never thinks", async () => {
    await using _bridge = await open({
      onTurn: () => Promise.reject(new BridgeError("QUEUE_UNAVAILABLE", "down")),
    });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await expect.poll(fromBot).toMatchObject([{ text: UNAVAILABLE, unfinished: false }]);
    expect(calls(discord, CALLBACK).map(({ request }) => request)).toMatchObject([{ type: 4 }]);
  });

  it("leaves its token out of the turn and out of the log", async () => {
    await using bridge = await open();
    discord.faults.plan(HOOK_EDIT, {
      do: "answer",
      status: 400,
      body: { code: 50035, message: "no", errors: {} },
    });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const turn = await acknowledgedTurnOf(bridge);
    const [callback] = calls(discord, CALLBACK);
    const token = callback?.name.split("/")[3] ?? "";
    const failure = await (await bridge.reply(turn)).finish(done("a")).catch((error: unknown) => error);
    const dump = (value: unknown): string =>
      value instanceof Error
        ? `${value.stack} ${dump(value.cause)} ${JSON.stringify(value)}`
        : JSON.stringify(value);
    expect(token.length).toBeGreaterThan(20);
    expect(dump(failure)).toContain("edit message");
    expect([dump(turn), dump(failure), JSON.stringify(bridge.log)].join()).not.toContain(token);
    expect(bridge.log.map(({ fields }) => dump(Object.values(fields)[0])).join()).not.toContain(token);
  });
});

describe("the three seconds", () => {
  it("§11.42 an acknowledgement at 2.9 s is in time", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "why?" });
    // Before the event has crossed the wire: what follows happens 2.9 s later by Discord's clock.
    clock.advance(2900);
    await turnOf(bridge);
    await expect.poll(fromBot).toMatchObject([{ unfinished: true }]);
  });

  it("§11.42 one that comes too late is answered in the channel", async () => {
    await using bridge = await open();
    discord.faults.plan(CALLBACK, {
      do: "answer",
      status: 404,
      body: { code: 10062, message: "Unknown interaction" },
    });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    await reply.finish(done("Because."));
    expect(fromBot()).toMatchObject([{ text: "Because." }]);
    expect(calls(discord, CREATE)).toHaveLength(1);
  });

  it("§11.42 too late and without a way into the channel it is taken back", async () => {
    const gone: string[] = [];
    await using bridge = await open({ onGone: (key) => Promise.resolve(void gone.push(key)) });
    discord.faults.plan(CALLBACK, {
      do: "answer",
      status: 404,
      body: { code: 10062, message: "Unknown interaction" },
    });
    discord.person("Ada").slash(discord.general, { question: "why?", userInstall: true });
    await expect
      .poll(() => bridge.log.map(({ message }) => message))
      .toContain("interaction expired before it was acknowledged");
    await expect.poll(() => gone).toEqual(bridge.turns.map(({ dedupeKey }) => dedupeKey));
    expect(gone).toHaveLength(1);
  });

  it.each([-1, 1])("are Discord's, not ours: a clock that is %i hour off changes nothing", async (hours) => {
    await using bridge = await open({ wallNow: () => clock.now() + hours * 60 * MINUTE });
    await expect.poll(() => discord.commands).toHaveLength(1);
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    await reply.finish(done("Because."));
    expect(fromBot()).toMatchObject([{ text: "Because." }]);
    expect(calls(discord, HOOK_EDIT)).toHaveLength(1);
  });

  it.each([-1, 1])("are taken also after our clock was set by %i hour", async (hours) => {
    let shift = 0;
    await using bridge = await open({ wallNow: () => clock.now() + shift });
    await expect.poll(() => discord.commands).toHaveLength(1);
    shift = hours * 60 * MINUTE;
    discord.person("Ada").slash(discord.general, { question: "why?" });
    const reply = await bridge.reply(await turnOf(bridge));
    await reply.finish(done("Because."));
    expect(fromBot()).toMatchObject([{ text: "Because." }]);
  });

  it("§11.15 an old one that a resume brings is not even tried", async () => {
    await using bridge = await open();
    discord.gateway.drop();
    discord.person("Ada").slash(discord.general, { question: "why?" });
    clock.advance(10_000);
    await expect.poll(() => bridge.log.map(({ message }) => message)).toContain("interaction came too late");
    expect(calls(discord, CALLBACK)).toEqual([]);
  });

  it.each(["commit-then-reset", "commit-then-hang"] as const)(
    "§11.43 an acknowledgement whose answer is lost (%s) is repeated, and 40060 is success",
    async (fault) => {
      await using bridge = await open();
      discord.faults.plan(CALLBACK, { do: fault });
      discord.person("Ada").slash(discord.general, { question: "why?" });
      const reply = await bridge.reply(await turnOf(bridge));
      await reply.finish(done("Because."));
      await expect
        .poll(() => calls(discord, CALLBACK).map(({ status }) => status), { timeout: 5_000 })
        .toEqual([0, 400]);
      expect(fromBot()).toMatchObject([{ text: "Because.", unfinished: false }]);
    },
  );

  it("an outage of half a second costs nobody a command", async () => {
    await using bridge = await open();
    for (const status of [500, 502, 503]) discord.faults.plan(CALLBACK, { do: "answer", status });
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await (await bridge.reply(await turnOf(bridge))).finish(done("Because."));
    await expect
      .poll(() => calls(discord, CALLBACK).map(({ status }) => status))
      .toEqual([500, 502, 503, 200]);
    expect(fromBot()).toMatchObject([{ text: "Because.", unfinished: false }]);
  });

  it("§11.16 two gateways both succeed, with one key", async () => {
    await using one = await open();
    await using two = await open();
    discord.person("Ada").slash(discord.general, { question: "why?" });
    await expect.poll(() => [one.turns.length, two.turns.length]).toEqual([1, 1]);
    expect(one.turns[0]?.dedupeKey).toBe(two.turns[0]?.dedupeKey);
    await expect.poll(fromBot).toHaveLength(1);
  });
});

it("§11.26 counts the later messages of a command's answer where Discord counts them", async () => {
  await using fast = await openFast();
  const { quick, bridge } = fast;
  const text = "Words of a long answer. ".repeat(220);
  for (let index = 0; index < 3; index += 1) {
    quick.person("Ada").slash(quick.general, { question: `question ${index}` });
  }
  await expect.poll(() => bridge.turns).toHaveLength(3);
  const replies = await Promise.all(bridge.turns.map((turn) => bridge.reply(turn)));
  // A minute and a half of Discord's, in which all three come to their third message.
  for (let end = 100; end < text.length; end += 60) {
    for (const reply of replies) reply.show({ answer: answerOf(text.slice(0, end)) });
    await sleep(20);
  }
  await Promise.all(replies.map((reply) => reply.finish(done(text))));
  const written = calls(quick, /^(POST|PATCH) /);
  expect(written.filter(({ status }) => status === 429)).toEqual([]);
  const edits = calls(quick, EDIT);
  expect(edits.length).toBeGreaterThan(20);
  expect(quick.view(quick.general).messages.filter(({ bot }) => bot)).toHaveLength(9);
});

describe("the fifteen minutes", () => {
  it("§11.44 pass without a gap: the channel takes over at fourteen", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "long one" });
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge));
    reply.show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()[0]?.text).toBe("half");
    clock.advance(14.5 * MINUTE);
    await reply.finish(done("whole"));
    expect(fromBot()).toMatchObject([{ text: "whole" }]);
    expect(calls(discord, EDIT)).toHaveLength(1);
  });

  it("§11.44 a token that dies early is no end, and costs no bot token", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "long one" });
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge));
    discord.faults.plan(HOOK_EDIT, {
      do: "answer",
      status: 401,
      body: { code: 50027, message: "Invalid Webhook Token" },
    });
    await reply.finish(done("whole"));
    expect(fromBot()).toMatchObject([{ text: "whole", unfinished: false }]);
  });

  it("§11.44 a first text after fourteen minutes still fills the deferred response", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "long one" });
    const turn = await acknowledgedTurnOf(bridge);
    clock.advance(20 * MINUTE);
    const reply = await bridge.reply(turn);
    await reply.finish(done("late"));
    expect(fromBot()).toMatchObject([{ text: "late", unfinished: false }]);
  });

  it("§11.44 a user's own installation ends its answer in the last of them, as far as it came", async () => {
    await using bridge = await open({ clock });
    discord.person("Ada").slash(discord.general, { question: "long one", userInstall: true });
    const over: BridgeError[] = [];
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge), {
      onOver: (error) => over.push(error),
    });
    reply.show({ answer: answerOf("half") });
    await expect.poll(() => fromBot()[0]?.text).toBe("half");
    clock.advance(13.9 * MINUTE);
    expect(over).toEqual([]);
    clock.advance(0.2 * MINUTE);
    expect(over).toMatchObject([{ code: "COZE_TIMEOUT" }]);
    await reply.finish({ answer: answerOf("half"), notice: "It took too long." });
    expect(fromBot()[0]?.text).toContain("It took too long.");
  });

  it("§11.44 a user's own installation ends no answer that has ended", async () => {
    await using bridge = await open({ clock });
    discord.person("Ada").slash(discord.general, { question: "short one", userInstall: true });
    const over: BridgeError[] = [];
    const reply = await bridge.reply(await acknowledgedTurnOf(bridge), {
      onOver: (error) => over.push(error),
    });
    await reply.finish(done("whole"));
    clock.advance(20 * MINUTE);
    expect(over).toEqual([]);
  });

  it("§11.44 a user's own installation ends with its token", async () => {
    await using bridge = await open();
    discord.person("Ada").slash(discord.general, { question: "long one", userInstall: true });
    const turn = await acknowledgedTurnOf(bridge);
    clock.advance(20 * MINUTE);
    const reply = await bridge.reply(turn);
    await expect(reply.finish(done("late"))).rejects.toMatchObject({ code: "PLATFORM_GONE" });
  });
});

it("finds its response also where Discord does not tell the id", async () => {
  await using plain = await startDiscord({ tellsResponseId: false });
  await using bridge = await openBridge(plain);
  plain.person("Ada").slash(plain.general, { question: "why?" });
  const reply = await bridge.reply(await turnOf(bridge));
  await reply.finish(done("Because."));
  expect(plain.view(plain.general).messages).toMatchObject([{ text: "Because." }]);
});

describe("the registration of the command", () => {
  it("happens once, and leaves other commands alone", async () => {
    {
      await using _first = await open();
      await expect.poll(() => discord.commands).toHaveLength(1);
    }
    await using second = await open();
    await expect.poll(() => calls(discord, /^GET \/applications\/\d+\/commands/)).toHaveLength(2);
    await second[Symbol.asyncDispose]();
    expect(calls(discord, /^POST \/applications/)).toHaveLength(1);
    expect(discord.commands).toMatchObject([
      { name: COZE_COMMAND.name, options: [{ name: "question" }, { name: "file" }] },
    ]);
  });
});
