import { expect, it } from "vitest";
import type { SeenMessage } from "../../sandbox/stand-in.ts";
import { type BridgeUnderTest, openBridge } from "./bridge-under-test.ts";

/** Pieces that an answer comes in. */
const PIECES = 40;

/** Answers each question with tagged words, slowly enough to be interrupted. */
function answerInWords({ services: { coze } }: BridgeUnderTest): void {
  coze.setPace({ firstDeltaMs: 40, deltaMs: 40, charactersPerDelta: 100_000, speed: 1 });
  coze.service.script(({ text }) => {
    const answer = wordsOf(text);
    const size = Math.ceil(answer.length / PIECES);
    const pieces = answer.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    return {
      steps: [
        ...pieces.map((piece) => ({ do: "delta", answer: 0, text: piece }) as const),
        { do: "answer", answer: 0, text: answer },
      ],
    };
  });
}

/** `tell blue 120`: that many words of its own. */
function wordsOf(text: string): string {
  const [, word = "none", count = "1"] = /tell (\w+) (\d+)/.exec(text) ?? [];
  return Array.from({ length: Number(count) }, (_, index) => `${word}${index}`).join(" ");
}

interface Scene {
  readonly name: string;
  /** Words that take more than one message. */
  readonly long: number;
  /** Asks; the result changes the question. */
  ask(bridge: BridgeUnderTest, text: string): { place: string; edit: (text: string) => void };
}

const SCENES: readonly Scene[] = [
  {
    name: "a mention on Discord",
    long: 450,
    ask({ services: { discord } }, text) {
      const ada = discord.person("Ada");
      const id = ada.say(discord.general, `@Coze ${text}`);
      return { place: discord.general, edit: (next) => ada.edit(id, `@Coze ${next}`) };
    },
  },
  {
    name: "a mention on Slack",
    long: 1_900,
    ask({ services: { slack } }, text) {
      const ada = slack.person("Ada");
      const { channel, ts } = ada.say(slack.general, `@Coze ${text}`);
      return { place: channel, edit: (next) => void ada.edit(channel, ts, `@Coze ${next}`) };
    },
  },
  {
    name: "a stream in a Slack DM",
    long: 1_700,
    ask({ services: { slack } }, text) {
      const ada = slack.person("Ada");
      const { channel, ts } = ada.dm(text);
      return { place: channel, edit: (next) => void ada.edit(channel, ts, next) };
    },
  },
];

function fromBot({ services }: BridgeUnderTest, place: string): readonly SeenMessage[] {
  const { discord, slack } = services;
  const standIn = discord.world.channels.has(place) ? discord : slack;
  return standIn.view(place).messages.filter(({ bot }) => bot);
}

function shown(bridge: BridgeUnderTest, place: string): { text: string; unfinished: boolean } {
  const messages = fromBot(bridge, place);
  return {
    text: messages.map(({ text }) => text.trim()).join(" "),
    unfinished: messages.some(({ unfinished }) => unfinished),
  };
}

/** Revisions that Coze was asked for, in order. */
function revisionsAsked({ services: { coze } }: BridgeUnderTest): (string | undefined)[] {
  const chats = coze.chats.map((chat) => chat.toWire() as { meta_data: Record<string, string> });
  return chats.map(({ meta_data: metaData }) => metaData["turn_id"]?.split("#")[1]);
}

it.each(SCENES)(
  "answers $name anew when it is edited, in the same messages, also over a kill",
  async ({ ask, long }) => {
    await using bridge = await openBridge({
      standIns: { slack: { limits: false, retryMs: [100, 2_000, 5_000] } },
    });
    answerInWords(bridge);
    const { place, edit } = ask(bridge, `tell red ${long}`);
    const poll = { timeout: 60_000, interval: 20 };
    await expect
      .poll(() => shown(bridge, place), poll)
      .toEqual({ text: wordsOf(`tell red ${long}`), unfinished: false });
    const ids = fromBot(bridge, place).map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(1);

    edit("tell blue 300");
    await expect.poll(() => shown(bridge, place).text, poll).toContain("blue0");
    await bridge.killAndRestart();
    await expect
      .poll(() => shown(bridge, place), poll)
      .toEqual({ text: wordsOf("tell blue 300"), unfinished: false });
    const kept = fromBot(bridge, place).map(({ id }) => id);
    expect(ids.slice(0, kept.length)).toEqual(kept);

    edit("tell green 600");
    await expect
      .poll(() => shown(bridge, place), poll)
      .toEqual({ text: wordsOf("tell green 600"), unfinished: false });
    expect(fromBot(bridge, place)[0]?.id).toBe(ids[0]);
    expect(revisionsAsked(bridge)).toEqual(["r0", "r1", "r2"]);
  },
);
