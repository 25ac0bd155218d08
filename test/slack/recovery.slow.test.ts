import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

const STORY = "Once upon a time there was a bridge.";

/** A bridge with one question, in a DM or in a channel. */
async function asked(
  where: "dm" | "channel",
  options: BridgeOptions = {},
): Promise<SlackBridge & { place: string; question: string }> {
  const bridge = await openBridge({ ...options, slack: { echo: false, ...options.slack } });
  const ada = bridge.slack.person("Ada");
  const said = where === "dm" ? ada.dm("question?") : ada.say(bridge.slack.general, "@Coze question?");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  return Object.assign(bridge, { place: said.channel, question: said.ts });
}

function shown({ slack }: SlackBridge, place: string): readonly string[] {
  return slack
    .view(place)
    .messages.filter(({ bot }) => bot)
    .map(({ text }) => text);
}

function squeezed(texts: readonly string[]): string {
  return texts.join("").replaceAll(/\s/g, "");
}

/** Starts an answer, waits until its beginning is on screen, and ends as a killed process does. */
async function startAndDie(
  bridge: SlackBridge & { place: string },
  { beginning = "Once upon", saves = "none" }: { beginning?: string; saves?: "none" | "all" } = {},
): Promise<Json | undefined> {
  const { reply, saves: saved } = await bridge.reply();
  reply.show({ answer: answer(beginning) });
  await vi.waitUntil(() => squeezed(shown(bridge, bridge.place)) === squeezed([beginning]), SOON);
  if (saves === "all") await vi.waitUntil(() => saved.length >= shown(bridge, bridge.place).length, SOON);
  return saves === "all" ? saved.at(-1) : undefined;
}

async function finishAgain(
  bridge: SlackBridge & { place: string },
  text = STORY,
  saved?: Json,
): Promise<void> {
  const { reply } = await bridge.reply(bridge.turns[0], saved, { again: true });
  await reply.finish({ answer: answer(text) });
}

it.concurrent.for(["dm", "channel"] as const)(
  "finishes the same message in a %s when the process ended between making and saving it",
  async (where, { expect: see }) => {
    await using bridge = await asked(where);
    await startAndDie(bridge);
    await finishAgain(bridge);
    see(shown(bridge, bridge.place)).toEqual([STORY]);
    see(bridge.slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
    see(bridge.log.some(({ message }) => message === "orphan possible")).toBe(false);
    see(slackViolations(bridge.slack.traffic.exchanges)).toEqual([]);
  },
);

it.concurrent("finishes the same stream when even its owner could not be written down", async ({
  expect: see,
}) => {
  await using bridge = await asked("dm");
  const { slack, place, question } = bridge;
  const channel = slack.workspace.channels.get(place);
  if (channel === undefined) throw new Error("no channel");
  const stream = {
    startedAt: 0,
    state: "in_progress" as const,
    recipient: undefined,
    firstPiece: "",
    markdown: "Once",
    cards: new Map(),
    display: "timeline" as const,
    planTitle: "",
    blocks: [],
  };
  const from = { user: slack.workspace.bot.userId, bot: true };
  slack.workspace.post(channel, from, {
    threadTs: question,
    stream: { ...stream, startedAt: slack.workspace.clock.now() },
  });
  await finishAgain(bridge);
  see(shown(bridge, place)).toEqual([STORY]);
});

it.concurrent("leaves another turn's messages and its running stream alone", async ({ expect: see }) => {
  await using bridge = await asked("dm");
  const { slack, place, question } = bridge;
  slack.person("Ada").dm("and this?", { thread: question });
  await vi.waitUntil(() => bridge.turns.length === 2, SOON);
  const [first, second] = bridge.turns;
  const other = await bridge.reply(second, undefined, { reference: "0THERS" });
  other.reply.show({ answer: answer("Other") });
  await vi.waitUntil(() => shown(bridge, place).length === 1, SOON);
  const { reply } = await bridge.reply(first, undefined, { again: true });
  await reply.finish({ answer: answer(STORY) });
  await other.reply.finish({ answer: answer("Other one.") });
  see([...shown(bridge, place)].sort()).toEqual(["Other one.", STORY].sort());
});

it.concurrent("finds the second of several messages, too", async ({ expect: see }) => {
  await using bridge = await asked("channel", { slack: { limits: false } });
  const paragraphs = Array.from(
    { length: 300 },
    (_, index) => `Paragraph ${index} of a long answer, with words.`,
  );
  const long = paragraphs.join("\n\n");
  const { reply, saves } = await bridge.reply();
  reply.show({ answer: answer(long) });
  await vi.waitUntil(() => shown(bridge, bridge.place).length === 2, SOON);
  // The first part was saved, the second one not any more.
  await finishAgain(bridge, long, saves[0]);
  see(shown(bridge, bridge.place).join("\n\n")).toBe(long);
  see(shown(bridge, bridge.place)).toHaveLength(2);
});

it.concurrent("ends with one orphan at most where it may not look", async ({ expect: see }) => {
  await using bridge = await asked("channel", {
    slack: { scopes: ["app_mentions:read", "chat:write", "users:read"] },
  });
  await startAndDie(bridge);
  await finishAgain(bridge);
  see(shown(bridge, bridge.place)).toEqual(["Once upon", STORY]);
  see(bridge.log.filter(({ message }) => message === "orphan possible")).toHaveLength(1);
});

it.concurrent("makes no second message while Slack has trouble to tell what is there", async ({
  expect: see,
}) => {
  await using bridge = await asked("channel");
  await startAndDie(bridge);
  bridge.slack.faults.plan(
    "POST /api/conversations.replies",
    {
      do: "answer",
      status: 503,
      body: "<html>",
    },
    4,
  );
  bridge.slack.faults.plan("POST /api/conversations.replies", {
    do: "answer",
    status: 429,
    headers: { "retry-after": "1" },
  });
  await finishAgain(bridge);
  see(shown(bridge, bridge.place)).toEqual([STORY]);
});

it.concurrent("keeps every segment of a stream where it was cut, after a restart", async ({
  expect: see,
}) => {
  await using bridge = await asked("dm", { slack: { limits: false } });
  const paragraphs = Array.from(
    { length: 60 },
    (_, index) => `${index}：${"很久以前，有一座桥。".repeat(12)}`,
  );
  const long = paragraphs.join("\n\n");
  const saved = await startAndDie(bridge, { beginning: long.slice(0, 7_000), saves: "all" });
  const before = shown(bridge, bridge.place);
  see(before.length).toBeGreaterThan(1);
  await finishAgain(bridge, long, saved);
  const after = shown(bridge, bridge.place);
  see(after.join("")).toBe(long);
  see(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
});

it.concurrent("cuts what is drawn otherwise than it was written where its streams were cut", async ({
  expect: see,
}) => {
  await using bridge = await asked("dm", { slack: { limits: false } });
  const rows = Array.from({ length: 130 }, (_, index) => `| ${index} | | 请看**“桥”**吧 |`);
  const paragraphs = Array.from({ length: 160 }, (_, index) => `${index}：**“很久以前”**有一座桥，$x_1$。`);
  const table = `| a | b | c |\n|:-|-|-|\n${rows.join("\n")}\n\n`;
  const long = `${table}${paragraphs.join("\n\n")}\n\n${table}the end`;
  const { reply, saves } = await bridge.reply();
  reply.show({ answer: answer(long) });
  await vi.waitUntil(() => shown(bridge, bridge.place).join("").includes("the end"), SOON);
  await vi.waitUntil(() => saves.length >= shown(bridge, bridge.place).length, SOON);
  const before = shown(bridge, bridge.place);
  see(before.length).toBeGreaterThan(3);
  see(before.join("")).toContain("| 1 | – | 请看\u200a**“桥”**\u200a吧 |");
  await finishAgain(bridge, `${long} of it.`, saves.at(-1));
  const after = shown(bridge, bridge.place);
  see(after.slice(0, -1)).toEqual(before.slice(0, -1));
  see(after.at(-1)).toBe(`${before.at(-1)} of it.`);
  see(slackViolations(bridge.slack.traffic.exchanges)).toEqual([]);
});

it.concurrent("ends a message where its table is full, also behind what was streamed", async ({
  expect: see,
}) => {
  await using bridge = await asked("dm", { slack: { limits: false } });
  const words = `${"word ".repeat(40)}\n\n`.repeat(60);
  const { reply, saves } = await bridge.reply();
  reply.show({ answer: answer(words) });
  await vi.waitUntil(() => saves.length === 2, SOON);
  const rows = Array.from({ length: 250 }, (_, index) => `| k${index} | 1 |\n`).join("");
  await finishAgain(bridge, `${words}| a | b |\n|---|---|\n${rows}`, saves.at(-1));
  const shownRows = shown(bridge, bridge.place).join("").match(/k\d+/g);
  see(shownRows).toHaveLength(250);
  see(JSON.stringify(bridge.slack.traffic.exchanges)).not.toContain("invalid_blocks");
});

it.concurrent("adopts the later segments of a stream that were not saved", async ({ expect: see }) => {
  await using bridge = await asked("dm", { slack: { limits: false } });
  const long = Array.from(
    { length: 60 },
    (_, index) => `${index}：${"很久以前，有一座桥。".repeat(12)}`,
  ).join("\n\n");
  await startAndDie(bridge, { beginning: long.slice(0, 7_000) });
  await finishAgain(bridge, long);
  see(squeezed(shown(bridge, bridge.place)) === squeezed([long])).toBe(true);
  see(bridge.slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
});

it.concurrent.for(["general", "secret"] as const)(
  "asks a command's question once in %s, though the process ended before it was saved",
  async (where, { expect: see }) => {
    await using bridge = await openBridge({ slack: { echo: false } });
    const { slack } = bridge;
    const ada = slack.person("Ada");
    ada.slash(slack[where], "what is a bridge?");
    await vi.waitUntil(() => bridge.turns.length === 1, SOON);
    await bridge.reply();
    const { reply } = await bridge.reply(bridge.turns[0], undefined, { again: true });
    await reply.finish({ answer: answer(STORY) });
    const place = where === "secret" ? slack.workspace.dmWith(ada.id).id : slack.general;
    const seen = slack.view(place).messages.filter(({ ephemeral }) => ephemeral !== true);
    see(seen.map(({ text }) => text)).toEqual(["@Ada asked:\n> what is a bridge?", STORY]);
  },
);

it.concurrent("does not ask twice when Slack's answer to a posted question is lost", async ({
  expect: see,
}) => {
  await using bridge = await openBridge({ slack: { echo: false } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.general, "what is a bridge?");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  slack.faults.plan("POST /api/chat.postMessage", { do: "commit-then-reset" });
  await see(bridge.reply()).rejects.toMatchObject({ code: "PLATFORM_UNKNOWN_OUTCOME" });
  const { reply } = await bridge.reply(bridge.turns[0], undefined, { again: true });
  await reply.finish({ answer: answer(STORY) });
  see(shown(bridge, slack.general).filter((text) => text.includes("asked"))).toHaveLength(1);
  see(callsOf(slack, "conversations.history")).toHaveLength(1);
});

it("marks what it found, so that it is found once more", async () => {
  await using bridge = await asked("dm");
  await startAndDie(bridge);
  const again = await bridge.reply(bridge.turns[0], undefined, { again: true });
  expect(again.saves).toHaveLength(1);
  await finishAgain(bridge);
  expect(shown(bridge, bridge.place)).toEqual([STORY]);
});

const WRITES = /^POST \/api\/(chat\.|conversations\.open)/;
const LONG = Array.from({ length: 40 }, (_, index) => `${index}：${"很久以前，有一座桥。".repeat(12)}`).join(
  "\n\n",
);
const LONG_ENGLISH = Array.from(
  { length: 280 },
  (_, index) => `Paragraph ${index} of a long, long answer.`,
).join("\n\n");

/** Sooner nobody takes over: a lease lasts ten seconds. */
const TAKEOVER_MS = 300;

/** Answers a turn in one process after the other; each but the last dies right after its n-th write at Slack. */
async function answerThroughCrashes(
  bridge: SlackBridge,
  {
    text,
    diesAfter,
    savesBeforeDeath,
  }: { text: string; diesAfter: readonly number[]; savesBeforeDeath: boolean },
): Promise<number> {
  const turn = { ...bridge.turns[0], v: 1, reference: "K7Q2FM", route: { botId: "7380000000000000009" } };
  let saved: Json | undefined;
  let writes = 0;
  for (const [start, lives] of [...diesAfter, Number.POSITIVE_INFINITY].entries()) {
    const death = new AbortController();
    let left = lives;
    const stopListening = bridge.slack.traffic.onExchange(({ kind, name }) => {
      if (kind !== "http" || !WRITES.test(name) || death.signal.aborted) return;
      writes += 1;
      left -= 1;
      if (left === 0 && !savesBeforeDeath) death.abort(new Error("killed"));
    });
    const options = {
      saved,
      earlier: undefined,
      onOver: () => undefined,
      again: start > 0,
      signal: death.signal,
      save: (state: Json) => {
        if (death.signal.aborted) return Promise.reject(new Error("killed"));
        saved = state;
        if (left <= 0) death.abort(new Error("killed"));
        return Promise.resolve();
      },
    };
    try {
      // Proven by normalizing: the incoming turn with what the core adds.
      const reply = await bridge.adapter.openReply(
        turn as unknown as Parameters<typeof bridge.adapter.openReply>[0],
        options,
      );
      reply.show({ answer: answer(text.slice(0, text.length / 2)) });
      await reply.finish({ answer: answer(text) });
      if (death.signal.aborted) throw death.signal.reason;
      stopListening();
      return writes;
    } catch (error) {
      stopListening();
      if (!death.signal.aborted) throw error;
    }
    // The edit of a full message and the post of the next one leave together: the other one may still be on its way.
    await sleep(TAKEOVER_MS);
  }
  throw new Error("every process died");
}

const PLACES = [
  { where: "dm", text: LONG },
  { where: "channel", text: LONG_ENGLISH },
  { where: "command", text: STORY },
] as const;
const POINTS = Array.from({ length: 13 }, (_, index) => index + 1).flatMap((point) => [
  { point, savesBeforeDeath: false },
  { point, savesBeforeDeath: true },
]);

it.for(PLACES)(
  "leaves exactly one whole answer in a $where, whichever write was the last of a process",
  async ({ where, text }) => {
    const ends = POINTS.map(async ({ point, savesBeforeDeath }) => {
      await using bridge = await openBridge({ slack: { echo: false, limits: false } });
      const { slack } = bridge;
      const ada = slack.person("Ada");
      if (where === "command") ada.slash(slack.general, "question?");
      else if (where === "dm") ada.dm("question?");
      else ada.say(slack.general, "@Coze question?");
      await vi.waitUntil(() => bridge.turns.length === 1, SOON);
      const place = where === "dm" ? slack.workspace.dmWith(ada.id).id : slack.general;
      await answerThroughCrashes(bridge, { text, diesAfter: [point, point], savesBeforeDeath });
      const { messages } = slack.view(place);
      const ours = messages.filter(({ bot, ephemeral }) => bot && ephemeral !== true);
      const answers = ours.slice(where === "command" ? 1 : 0).map((message) => message.text);
      const unfinished = ours.filter((message) => message.unfinished).length;
      return { point, savesBeforeDeath, whole: squeezed(answers) === squeezed([text]), unfinished };
    });
    const expected = POINTS.map((at) => ({ ...at, whole: true, unfinished: 0 }));
    expect(await Promise.all(ends)).toEqual(expected);
  },
);
