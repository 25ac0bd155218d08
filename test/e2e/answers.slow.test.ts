import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { samplePicture } from "../../sandbox/sample-picture.ts";
import { botText } from "../../sandbox/stage.ts";
import { cozeViolations } from "../coze/coze-spec.ts";
import { discordViolations } from "../discord/discord-spec.ts";
import { slackViolations } from "../slack/slack-spec.ts";
import { type BridgeUnderTest, expectAnswer, openBridge, refusals } from "./bridge-under-test.ts";

function expectCleanTraffic(bridge: BridgeUnderTest): void {
  const { coze, discord, slack } = bridge.services;
  expect(cozeViolations(coze.traffic.exchanges)).toEqual([]);
  expect(discordViolations(discord.traffic.exchanges)).toEqual([]);
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
  expect(refusals(bridge)).toEqual([]);
}

it("answers a mention, a command and a direct message with a picture on both platforms, by the book", async () => {
  await using bridge = await openBridge();
  const { discord, slack } = bridge;
  const bytes = samplePicture();
  const picture = [{ name: "sunset.png", bytes }];
  const described = expectedAnswer({
    text: "What is this?",
    files: [{ name: "sunset.png", bytes: bytes.length, kind: "image" }],
  });
  await Promise.all([
    expectAnswer(
      discord,
      discord.mention("hello from Discord"),
      expectedAnswer({ text: "hello from Discord" }),
    ),
    expectAnswer(slack, slack.mention("hello from Slack"), expectedAnswer({ text: "hello from Slack" })),
    expectAnswer(discord, discord.dm("What is this?", picture), described),
    expectAnswer(slack, slack.dm("What is this?", picture), described),
  ]);
  await expectAnswer(
    discord,
    discord.command("今天天气怎么样？"),
    expectedAnswer({ text: "今天天气怎么样？" }),
  );
  await expectAnswer(slack, slack.command("今天天气怎么样？"), expectedAnswer({ text: "今天天气怎么样？" }));
  expectCleanTraffic(bridge);
});

it("shows 8,000 characters with code fences whole on both platforms, without a refusal", async () => {
  await using bridge = await openBridge();
  const { discord, slack } = bridge;
  const answer = expectedAnswer({ text: "long 8000" });
  expect(answer.length).toBeGreaterThanOrEqual(8_000);
  await Promise.all([
    expectAnswer(discord, discord.mention("long 8000"), answer),
    expectAnswer(slack, slack.mention("long 8000"), answer),
    expectAnswer(slack, slack.dm("long 8000"), answer),
  ]);
  expectCleanTraffic(bridge);
});

it("shows a plugin at work as a card in Slack's stream only, and reads what stands above in a thread", async () => {
  // At the usual 20 the plugin ends in 75 ms, before a busy machine's stream starts.
  await using bridge = await openBridge({ speed: 1, standIns: { discord: { messageContent: true } } });
  const { slack, services } = bridge;
  const text = "how is the weather?";
  await Promise.all([
    expectAnswer(slack, slack.dm(text), expectedAnswer({ text })),
    expectAnswer(slack, slack.mention(text), expectedAnswer({ text })),
  ]);
  const tasks = [...services.slack.workspace.channels.keys()].flatMap((place) =>
    services.slack.view(place).messages.flatMap((message) => message.tasks ?? []),
  );
  expect(tasks).toEqual([{ title: "Using weather", status: "complete" }]);
  const start = services.slack.traffic.exchanges.find(({ name }) => name.endsWith("chat.startStream"));
  expect(start?.request).toMatchObject({ chunks: [{ type: "task_update", status: "in_progress" }] });
  const { coze, discord } = services;
  const before = coze.chats.length;
  const report = { name: "report.pdf", mimetype: "application/pdf", bytes: Buffer.from("%PDF-1.7 report") };
  const there = services.slack;
  const { ts: thread } = there.person("Grace").say(there.general, "the report", { files: [report] });
  there.person("Ada").say(there.general, "@Coze what is this?", { thread });
  const talk = discord.addThread(discord.general, "talk");
  discord.person("Grace").say(talk, "the report", { files: [report] });
  discord.person("Ada").say(talk, "@Coze what is this?");
  await expect
    .poll(() => coze.chats.slice(before).map(({ status }) => status))
    .toEqual(["completed", "completed"]);
  const withFiles = coze.service.conversations
    .values()
    .flatMap(({ messages }) =>
      messages.filter(({ role, content }) => role === "user" && content.startsWith("[")),
    )
    .map(({ content }) => JSON.parse(content) as { type: string; text?: string }[])
    .toArray();
  expect(withFiles).toHaveLength(2);
  for (const parts of withFiles) {
    expect(parts.map(({ type }) => type).toSorted()).toEqual(["file", "text"]);
    expect(parts.find(({ type }) => type === "text")?.text).toBe("> Grace:\n> the report\n\nwhat is this?");
  }
  expectCleanTraffic(bridge);
});

it("remembers a name in its conversation, also after a restart", async () => {
  await using bridge = await openBridge();
  const { discord, slack } = bridge;
  await expectAnswer(discord, discord.dm("my name is Ada"), expectedAnswer({ text: "my name is Ada" }));
  await expectAnswer(slack, slack.dm("my name is Grace"), expectedAnswer({ text: "my name is Grace" }));
  await bridge.killAndRestart();
  const recall = (name: string) =>
    expectedAnswer({ text: "what is my name?", memory: [{ role: "user", text: `my name is ${name}` }] });
  expect(recall("Ada")).toContain("Ada");
  await expectAnswer(discord, discord.dm("what is my name?"), recall("Ada"));
  await expectAnswer(slack, slack.dm("what is my name?"), recall("Grace"));
});

it("finishes an answer whose stream broke in the middle, in the same message", async () => {
  await using bridge = await openBridge();
  const { discord, slack, services } = bridge;
  const answer = expectedAnswer({ text: "break" });
  expect(answer).toContain("whole after all");
  await Promise.all([
    expectAnswer(discord, discord.mention("break"), answer),
    expectAnswer(slack, slack.mention("break"), answer),
    expectAnswer(slack, slack.dm("break"), answer),
  ]);
  expect(services.coze.chats).toHaveLength(3);
  expect(refusals(bridge)).toEqual([]);
});

it.each([
  ["fail 4015", /not published/],
  ["fail 4011", /quota is used up/],
  ["late fail 5000", /could not finish|INTERNAL|try again/i],
  ["empty", /nothing to say/],
])("ends %j in a sentence with a reference on both platforms", async (text, sentence) => {
  await using bridge = await openBridge();
  for (const stage of [bridge.discord, bridge.slack]) {
    for (const place of [stage.mention(text), stage.dm(text)]) {
      const shown = (): string => botText(stage.standIn.view(place));
      await expect.poll(shown, { timeout: 60_000 }).toMatch(sentence);
      expect(shown()).toMatch(/\([2-9A-HJKMNP-TV-Z]{6}\)/);
      expect(stage.standIn.view(place).messages.some(({ unfinished }) => unfinished)).toBe(false);
    }
  }
});
