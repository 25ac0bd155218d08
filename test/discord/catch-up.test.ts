import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FollowedPlaces } from "../../adapters/discord/followed-places.ts";
import { parseGuild } from "../../adapters/discord/gateway-events.ts";
import { idOfTime, timeOfId } from "../../adapters/discord/normalize.ts";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { MemoryStore } from "../core/platform-double.ts";
import {
  answerOf,
  type Bridge,
  type BridgeOptions,
  CREATE,
  calls,
  openBridge,
  QUICK_TIME,
} from "./harness.ts";

const LIST = /^GET \/channels\/\d+\/messages$/;

let clock: VirtualClock;
let discord: DiscordStandIn;
let store: MemoryStore;

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
  discord = await startDiscord({ clock });
  store = new MemoryStore();
});

afterEach(() => discord[Symbol.asyncDispose]());

/** A process begins. Before, more time passes than Discord's clock is unsure by. */
function open(options: BridgeOptions = {}): Promise<Bridge> {
  clock.advance(3_000);
  return openBridge(discord, { wallNow: () => clock.now(), store, ...options });
}

/** A first process, in which each of these places is asked something. */
async function lived(...places: readonly string[]): Promise<void> {
  await using bridge = await open();
  for (const place of places) discord.person("Ada").say(place, "@Coze before");
  await expect.poll(() => bridge.turns).toHaveLength(places.length);
  await expect.poll(async () => (await kept()).length).toBe(places.length);
  clock.advance(1_000);
}

async function kept(): Promise<readonly (readonly [string, unknown])[]> {
  const entries: (readonly [string, unknown])[] = [];
  for await (const entry of store.list("discord-seen")) entries.push(entry);
  return entries;
}

const texts = ({ turns }: Bridge): readonly string[] => turns.map(({ text }) => text);

/** Lets time pass at each look, since what it is about may only begin in between. */
function textsAfter(ms: number, bridge: Bridge): readonly string[] {
  clock.advance(ms);
  return texts(bridge);
}

function notices(): readonly string[] {
  return [...discord.world.messages.values()]
    .filter(({ author, content }) => author.id === discord.botId && content.startsWith("-# "))
    .map(({ content }) => content);
}

describe("what was asked while the bridge was down", () => {
  it("§11.4 is answered oldest first, marked as late, and once", async () => {
    const ada = discord.person("Ada");
    await lived(discord.general);
    for (const text of ["one", "two", "three"]) {
      ada.say(discord.general, `@Coze ${text}`);
      ada.say(discord.general, "nothing for the bot");
      clock.advance(1_000);
    }
    {
      await using second = await open();
      await expect.poll(() => texts(second)).toEqual(["one", "two", "three"]);
      expect(second.turns.every(({ late, dedupeKey }) => late === true && dedupeKey.length > 20)).toBe(true);
      ada.say(discord.general, "@Coze live");
      await expect.poll(() => texts(second)).toContain("live");
      expect(second.turns.at(-1)?.late).toBeUndefined();
    }
    await using third = await open();
    ada.say(discord.general, "@Coze again");
    await expect.poll(() => texts(third)).toEqual(["again"]);
  });

  it("is not what is asked while it still looks: that is neither late nor left out", async () => {
    const ada = discord.person("Ada");
    await lived(ada.dmChannel);
    ada.say(ada.dmChannel, "missed");
    ada.say(ada.dmChannel, "missed, too");
    discord.faults.plan(LIST, { do: "delay", ms: 500 });
    await using second = await open({ catchUp: { perPlace: 1 } });
    ada.say(ada.dmChannel, "live");
    // Comes after it over the same connection.
    ada.say(discord.general, "nothing for the bot");
    await expect.poll(() => second.log.map(({ message }) => message)).toContain("message dropped");
    await expect.poll(() => textsAfter(500, second)).toEqual(["missed", "live"]);
    expect(second.turns.map(({ late }) => late)).toEqual([true, undefined]);
    expect(notices()).toEqual([expect.stringMatching(/^-# 1 more question was/)]);
  });

  it("is not what was written since the session began, also where only the look has it so far", async () => {
    const ada = discord.person("Ada");
    await lived(ada.dmChannel);
    ada.say(ada.dmChannel, "missed");
    discord.faults.plan(LIST, { do: "delay", ms: 500 });
    await using second = await open();
    // One for the session of before, which could still be resumed.
    discord.gateway.loseNext(2);
    ada.say(ada.dmChannel, "since");
    await expect.poll(() => textsAfter(500, second)).toEqual(["missed", "since"]);
    expect(second.turns.map(({ late }) => late)).toEqual([true, undefined]);
  });

  it("is found in threads and DMs too, and in replies to our messages", async () => {
    const ada = discord.person("Ada");
    const thread = discord.addThread(discord.general, "Plans");
    await lived(discord.general, thread, ada.dmChannel);
    const ours = discord.world.addMessage({
      channelId: discord.general,
      author: discord.world.bot,
      content: "ours",
    });
    ada.say(thread, "@Coze in a thread");
    ada.dm("in a DM");
    ada.say(discord.general, "a reply", { replyTo: ours.id });
    await using bridge = await open();
    await expect.poll(() => [...texts(bridge)].sort()).toEqual(["a reply", "in a DM", "in a thread"]);
    const reply = bridge.turns.find(({ text }) => text === "a reply");
    expect(reply).toMatchObject({
      installation: discord.guildId,
      continues: `discord:${discord.general}:${ours.id}`,
    });
  });

  it("goes before what is said there after the start", async () => {
    await lived(discord.general);
    discord.person("Ada").say(discord.general, "@Coze missed");
    discord.faults.plan(LIST, { do: "answer", status: 500 });
    await using bridge = await open();
    discord.person("Ada").say(discord.general, "@Coze live");
    await expect.poll(() => texts(bridge).at(-1)).toBe("live");
    expect(texts(bridge)[0]).toBe("missed");
  });

  it("is found after all when Discord had trouble for longer than the tries of one look", async () => {
    await lived(discord.general);
    discord.person("Ada").say(discord.general, "@Coze missed");
    discord.faults.plan(LIST, { do: "answer", status: 500 }, 5);
    await using bridge = await open({ clock: QUICK_TIME });
    // Meanwhile it is answered there, and the mark of what is known stays where it was.
    discord.person("Ada").say(discord.general, "@Coze live");
    await expect.poll(() => texts(bridge)).toEqual(["live"]);
    discord.person("Ada").say(discord.general, "@Coze another");
    await expect.poll(() => texts(bridge)).toEqual(["live", "another"]);
    const [live] = bridge.turns;
    if (live !== undefined) await (await bridge.reply(live)).finish({ answer: answerOf("Yes.", true) });
    await expect.poll(() => bridge.log.map(({ message }) => message)).toContain("message dropped");
    // Time passes for Discord as for the bridge: half a minute until the next look.
    clock.advance(40_000);
    // The queue knows the live ones by their keys.
    await expect.poll(() => texts(bridge)).toEqual(["live", "another", "missed", "live", "another"]);
    expect(bridge.turns[2]?.late).toBe(true);
    expect(bridge.turns[3]?.dedupeKey).toBe(bridge.turns[0]?.dedupeKey);
    expect(calls(discord, LIST)).toHaveLength(6);
  });

  it("is found although the store of the places is away at first, before what is said there meanwhile", async () => {
    const ada = discord.person("Ada");
    await lived(discord.general);
    ada.say(discord.general, "@Coze missed");
    store.listsToFail = 2;
    await using bridge = await open({ clock: QUICK_TIME });
    ada.slash(discord.general, { question: "command" });
    ada.say(discord.general, "@Coze live");
    // The command waits for nothing, and moves no mark that is not known yet.
    await expect.poll(() => texts(bridge)).toEqual(["command", "missed", "live"]);
    const warnings = bridge.log.filter(({ message }) => message === "followed places could not be read");
    expect(warnings).toHaveLength(2);
  });

  it("is looked for again, and not left out, while it can't be stored", async () => {
    await lived(discord.general);
    discord.person("Ada").say(discord.general, "@Coze missed");
    let failures = 1;
    await using bridge = await open({
      clock: QUICK_TIME,
      onTurn: () => {
        failures -= 1;
        const away = new BridgeError("QUEUE_UNAVAILABLE", "down", { retryable: true });
        return failures >= 0 ? Promise.reject(away) : Promise.resolve();
      },
    });
    await expect
      .poll(() => bridge.log.map(({ message }) => message))
      .toContain("missed messages could not be read");
    clock.advance(40_000);
    await expect.poll(() => texts(bridge)).toEqual(["missed"]);
    expect(bridge.turns[0]?.late).toBe(true);
    expect(notices()).toEqual([]);
  });

  it("is not answered any more after the window", async () => {
    await lived(discord.general);
    discord.person("Ada").say(discord.general, "@Coze too old");
    // Discord tells its time in whole seconds.
    clock.advance(902_000);
    discord.person("Ada").say(discord.general, "@Coze just now");
    await using bridge = await open();
    await expect.poll(() => texts(bridge)).toEqual(["just now"]);
  });

  it("is not answered any more after the window, also where our clock is wrong", async () => {
    await lived(discord.general);
    discord.person("Ada").say(discord.general, "@Coze too old");
    // Discord tells its time in whole seconds.
    clock.advance(902_000);
    discord.person("Ada").say(discord.general, "@Coze just now");
    await using bridge = await open({ wallNow: () => clock.now() + 3_600_000 });
    await expect.poll(() => texts(bridge)).toEqual(["just now"]);
  });

  it("is found over more than one page of chatter", async () => {
    await lived(discord.general);
    for (let count = 0; count < 250; count += 1) discord.person("Bob").say(discord.general, "chatter");
    discord.person("Ada").say(discord.general, "@Coze at last");
    await using bridge = await open();
    await expect.poll(() => texts(bridge)).toEqual(["at last"]);
    expect(calls(discord, LIST)).toHaveLength(3);
  });

  it("names once how many are left out beyond the cap", async () => {
    await lived(discord.general);
    for (const text of ["one", "two", "three", "four"]) {
      discord.person("Ada").say(discord.general, `@Coze ${text}`);
    }
    {
      await using bridge = await open({ catchUp: { perPlace: 2 } });
      await expect.poll(notices).toHaveLength(1);
      expect(texts(bridge)).toEqual(["one", "two"]);
      expect(notices()[0]).toBe(
        "-# 2 more questions were asked here while the bridge was away and will not be answered. Please ask again.",
      );
    }
    await using again = await open({ catchUp: { perPlace: 2 } });
    discord.person("Ada").say(discord.general, "@Coze live");
    await expect.poll(() => [...new Set(texts(again))]).toEqual(["live"]);
    expect(notices()).toHaveLength(1);
  });

  it("that a full queue does not take is named as left out", async () => {
    await lived(discord.general);
    for (const text of ["one", "two", "three"]) discord.person("Ada").say(discord.general, `@Coze ${text}`);
    await using bridge = await open({
      onTurn: ({ text }) =>
        text === "one" ? Promise.resolve() : Promise.reject(new BridgeError("QUEUE_FULL", "full")),
    });
    await expect.poll(notices).toHaveLength(1);
    expect(notices()[0]).toMatch(/^-# 2 more questions/);
    expect(texts(bridge)).toEqual(["one"]);
  });
});

describe("the mark of a place", () => {
  it("stays where it is while a turn is not stored and its asker could not be told", async () => {
    await lived(discord.general);
    const [[, before] = []] = await kept();
    {
      await using failing = await open({
        onTurn: () => Promise.reject(new BridgeError("QUEUE_UNAVAILABLE", "down")),
      });
      discord.faults.plan(CREATE, { do: "answer", status: 500 });
      discord.person("Ada").say(discord.general, "@Coze lost?");
      await expect.poll(() => calls(discord, CREATE)).toHaveLength(1);
      expect(failing.turns).toEqual([]);
    }
    expect((await kept())[0]?.[1]).toEqual(before);
    await using bridge = await open();
    await expect.poll(() => texts(bridge)).toEqual(["lost?"]);
  });

  it("moves on with our own answers, so that nothing is fetched after a quiet night", async () => {
    {
      await using first = await open();
      discord.person("Ada").say(discord.general, "@Coze hi");
      await expect.poll(() => first.turns).toHaveLength(1);
      const [turn] = first.turns;
      if (turn === undefined) return;
      await (await first.reply(turn)).finish({ answer: answerOf("hello", true) });
      const answer = [...discord.world.messages.keys()].at(-1);
      await expect.poll(async () => (await kept())[0]?.[1]).toMatchObject({ seen: answer });
    }
    await using second = await open();
    discord.person("Ada").say(discord.general, "@Coze live");
    await expect.poll(() => texts(second)).toEqual(["live"]);
    expect(calls(discord, LIST)).toEqual([]);
  });

  it("comes later than what it vouches for: who is killed before finds its own questions again", async () => {
    store.settles = false;
    {
      await using first = await open();
      discord.person("Ada").say(discord.general, "@Coze hi");
      await expect.poll(() => first.turns).toHaveLength(1);
      const [turn] = first.turns;
      if (turn === undefined) return;
      await (await first.reply(turn)).finish({ answer: answerOf("hello", true) });
      discord.person("Ada").say(discord.general, "@Coze more");
      await expect.poll(() => first.turns).toHaveLength(2);
    }
    await using second = await open();
    await expect.poll(() => texts(second)).toEqual(["hi", "more"]);
    // Something stands below the first one.
    expect(second.turns.map(({ perhapsStarted = false }) => perhapsStarted)).toEqual([true, false]);
  });

  it("tells of a question that it was answered where its thread is known", async () => {
    store.settles = false;
    {
      await using first = await open();
      for (const who of ["Ada", "Ben"]) discord.person(who).say(discord.general, `@Coze ${who}`);
      await expect.poll(() => first.turns).toHaveLength(2);
      const [ada, ben] = first.turns;
      if (ada === undefined || ben === undefined) return;
      await first.reply(ada);
      await (await first.reply(ben)).finish({ answer: answerOf("in a thread", true) });
    }
    await using second = await open();
    await expect.poll(() => texts(second)).toEqual(["Ada", "Ben"]);
    expect(second.turns.map(({ perhapsStarted = false }) => perhapsStarted)).toEqual([false, true]);
  });

  it("§11.5 does not move where the history may not be read, and nothing breaks", async () => {
    await lived(discord.general);
    discord.deny(discord.general, "readHistory");
    discord.person("Ada").say(discord.general, "@Coze unseen");
    const before = await kept();
    await using bridge = await open();
    await expect.poll(() => calls(discord, LIST)).toHaveLength(1);
    expect(await kept()).toEqual(before);
    discord.person("Ada").say(discord.general, "@Coze live");
    await expect.poll(() => texts(bridge)).toEqual(["live"]);
    expect(bridge.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("§11.6 saves the fetch where nothing was written, and survives a deleted last message", async () => {
    const other = discord.addChannel("other");
    await lived(discord.general, other);
    discord.removeMessage(discord.person("Ada").say(other, "@Coze never mind"));
    await using bridge = await open();
    await expect.poll(() => calls(discord, LIST)).toHaveLength(1);
    discord.person("Ada").say(other, "@Coze live");
    await expect.poll(() => texts(bridge)).toEqual(["live"]);
    expect(calls(discord, LIST).map(({ name }) => name)).toEqual([`GET /channels/${other}/messages`]);
  });

  it("is forgotten with its channel", async () => {
    const dm = discord.person("Ada").dmChannel;
    await lived(dm);
    discord.world.channels.delete(dm);
    await using _bridge = await open();
    await expect.poll(kept).toEqual([]);
  });

  it("never moves back, and is dropped first where it is oldest", async () => {
    const places = new FollowedPlaces(store, 2);
    const at = (channelId: string, seen: string): Promise<void> =>
      places.advance({ channelId, guildId: undefined, seen });
    await at("1", "1000");
    await at("1", "999");
    await at("2", "99");
    await at("3", "2000");
    expect(await kept()).toEqual([
      ["1", { seen: "1000" }],
      ["3", { seen: "2000" }],
    ]);
    const others = new FollowedPlaces(store, 1);
    await others.load();
    expect(others.all()).toEqual([{ channelId: "3", guildId: undefined, seen: "2000" }]);
  });
});

it("a guild in an outage says nothing about its channels", () => {
  expect(parseGuild({ id: "1", unavailable: true })).toBeUndefined();
  expect(parseGuild({ id: "1", unavailable: false, channels: [{ id: "2" }] })?.channels).toHaveLength(1);
});

it("an id made of a moment is the first one of it", () => {
  const moment = Date.UTC(2026, 0, 2);
  expect(timeOfId(idOfTime(moment))).toBe(moment);
  expect(idOfTime(0)).toBe("0");
});
