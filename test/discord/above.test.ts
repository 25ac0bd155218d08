import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { Completion } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { parseTurn, toPayload } from "../../src/queue/turn-payload.ts";
import { discordViolations } from "./discord-spec.ts";
import { type Bridge, calls, openBridge } from "./harness.ts";

const LIST = /^GET \/channels\/\d+\/messages$/;
const STARTER = 21;

let discord: DiscordStandIn;
let bridge: Bridge;
let thread: string;

beforeEach(async () => {
  discord = await startDiscord({ messageContent: true });
  bridge = await openBridge(discord);
  thread = discord.addThread(discord.general, "talk");
});

afterEach(async () => {
  await bridge[Symbol.asyncDispose]();
  await discord[Symbol.asyncDispose]();
});

async function ask(text: string, place: string, extras: object = {}): Promise<Turn> {
  const before = bridge.turns.length;
  discord.person("Ada").say(place, text, extras);
  await expect.poll(() => bridge.turns.length).toBe(before + 1);
  const turn = { ...bridge.turns.at(-1), v: 1, reference: "K7Q2FM", route: { botId: "1" } };
  // As a worker gets it.
  return parseTurn(toPayload(turn as Turn));
}

async function complete(turn: Turn): Promise<Completion | undefined> {
  return bridge.adapter.complete?.(turn, { signal: new AbortController().signal });
}

/** What a thread was opened on. */
function beginWith(content: string): void {
  const { world } = discord;
  const files = [{ name: "report.pdf", bytes: Buffer.from("%PDF-1.7 report") }];
  const author = {
    ...world.bot,
    id: "500000000000000009",
    username: "grace",
    global_name: "Grace",
    bot: false,
  };
  const begun = world.addMessage({ channelId: discord.general, author, content, files });
  world.addMessage({
    channelId: thread,
    author,
    type: STARTER,
    extras: { referenced_message: begun } as object,
  });
}

it("reads what stands above its first mention in a thread, with the files of its first and its last message", async () => {
  beginWith("the **report**");
  discord.person("Alan").say(thread, `thanks <@${discord.person("Grace").id}>`, { stickers: ["Wave"] });
  const embeds = [
    {
      type: "rich",
      title: "Alert",
      description: "Disk usage is 91 %",
      fields: [{ name: "host", value: "web-1", inline: false }],
    },
  ];
  const program = {
    ...discord.world.bot,
    id: "500000000000000008",
    username: "monitor",
    global_name: null,
    bot: false,
  };
  discord.world.addMessage({ channelId: thread, author: program, extras: { embeds } as object });
  discord.person("Alan").say(thread, "see", { files: [{ name: "chart.png", bytes: Buffer.from("png") }] });
  const turn = await ask("@Coze what do you think?", thread);
  expect(turn).toMatchObject({ belowTalk: true, attachments: [] });
  const before = calls(discord, LIST).length;
  const found = await complete(turn);
  expect(found).toMatchObject({
    quote: {
      author: "Grace, Alan, monitor",
      text: [
        "Grace: the **report**",
        "Alan: thanks @Grace\n  [Wave]",
        "monitor: Alert\n  Disk usage is 91 %\n  host: web-1",
        "Alan: see",
      ].join("\n"),
    },
    attachments: [{ name: "report.pdf" }, { name: "chart.png" }],
  });
  expect(calls(discord, LIST).length - before).toBe(1);
  const whole = { ...turn, ...found };
  const [report] = whole.attachments;
  if (report === undefined) throw new Error("no file");
  const { signal } = new AbortController();
  await using file = await bridge.adapter.fetchAttachment(whole, report, { maxBytes: 1_000, signal });
  expect(await readFile(file.path, "utf8")).toBe("%PDF-1.7 report");
  expect(discordViolations(discord.traffic.exchanges)).toEqual([]);
});

it("finds the first message of a long thread, and reads nothing of what its asker says with the question", async () => {
  beginWith("first");
  for (let number = 1; number <= 30; number += 1) discord.person("Alan").say(thread, `line ${number}`);
  const turn = await ask("@Coze one", thread);
  discord.person("Ada").say(thread, "@Coze two");
  await expect.poll(() => bridge.turns.length).toBe(2);
  const address = bridge.turns[1]?.address ?? null;
  const lines = (await complete({ ...turn, address }))?.quote?.text.split("\n") ?? [];
  expect([lines[0], lines[1], lines.at(-1)]).toEqual(["Grace: first", "…", "Alan: line 30"]);
});

it("takes a mention and nothing else for a question about what stands above it", async () => {
  discord.person("Alan").say(thread, "something");
  const turn = await ask("@Coze", thread);
  expect(turn).toMatchObject({ text: "@Coze", belowTalk: true });
  expect((await complete(turn))?.quote).toEqual({ author: "Alan", text: "something" });
});

it("has nothing to read in a channel, in a thread that we answer in, or where another message is asked about", async () => {
  expect(await ask("@Coze hi", discord.general)).not.toHaveProperty("belowTalk");
  const said = discord.person("Alan").say(thread, "something");
  const asked = await ask("@Coze", thread, { replyTo: said });
  expect(asked).not.toHaveProperty("belowTalk");
  expect(asked).toMatchObject({ text: "", quote: { author: "Alan", text: "something" } });
  expect(bridge.adapter.complete?.(asked, { signal: new AbortController().signal })).toBeUndefined();
});

it("waits no longer for two looks than for one", async () => {
  for (let number = 1; number <= 21; number += 1) discord.person("Alan").say(thread, `line ${number}`);
  const turn = await ask("@Coze well?", thread);
  // Each is in time by itself.
  discord.faults.plan(`GET /channels/${thread}/messages`, { do: "delay", ms: 1_300 }, 2);
  // What came in time is kept.
  expect((await complete(turn))?.quote?.text).toMatch(/^line 2\nline 3\n/);
});

it("is asked without what stands above where that is refused", async () => {
  beginWith("first");
  const turn = await ask("@Coze well?", thread);
  const body = { message: "Missing Access", code: 50001 };
  discord.faults.plan(`GET /channels/${thread}/messages`, { do: "answer", status: 403, body });
  expect(await complete(turn)).toEqual({});
});
