import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mentionedUsers, toPlainText, withoutMention } from "../../adapters/slack/incoming-text.ts";
import {
  parseContent,
  saysSomething,
  wholeContentOf,
  writerOf,
} from "../../adapters/slack/message-content.ts";
import {
  isOwnChange,
  type Normalized,
  normalizeCommand,
  normalizeMessage,
  type SlackSelf,
} from "../../adapters/slack/normalize.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";

function load(name: string): Record<string, Record<string, unknown>> {
  const path = join(import.meta.dirname, "../fixtures/specs", name);
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, Record<string, unknown>>;
}

const RECORDED = load("recorded/slack-production-events.json");
const BOLT = load("slack-recorded-payloads.json")["payloads"] ?? {};
const SAMPLES = load("slack-event-samples.json");

const SELF: SlackSelf = { userId: "U00FAKEBOT01", botId: "B00FAKEBOT01", teamId: "T00FAKE00AA" };

function normalize(body: unknown, changes: { self?: SlackSelf; ours?: boolean } = {}): Normalized {
  const event = (body as { event?: unknown }).event;
  return normalizeMessage(body, event, {
    self: changes.self ?? SELF,
    names: new Map([["U00FAKEUSER1", "Ada"]]),
    isOurThread: () => changes.ours ?? false,
  });
}

it("reads the recorded mention, thread reply and DM of a real workspace", () => {
  const mention = normalize(RECORDED["dm/slack"]?.["mention"]);
  expect(mention.dropped === undefined && mention.turn).toMatchObject({
    dedupeKey: "slack:T00FAKE00AA:C00FAKECHAN1:1767376988.871629",
    conversation: "slack:T00FAKE00AA:C00FAKECHAN1:1767376988.871629",
    asker: { key: "slack:T00FAKE00AA:U00FAKEUSER1", name: "Ada" },
    text: "Hey",
    sentAt: 1_767_376_988_871,
    address: { kind: "channel", thread: "1767376988.871629" },
  });
  const reply = RECORDED["dm/slack"]?.["dmRequest"];
  expect(normalize(reply)).toEqual({ dropped: "a thread without us" });
  const ours = normalize(reply, { ours: true });
  expect(ours.dropped === undefined && ours.turn).toMatchObject({
    conversation: "slack:T00FAKE00AA:C00FAKECHAN1:1767376988.871629",
    continues: "slack:C00FAKECHAN1:1767376988.871629",
    text: "DM me",
  });
  const dm = normalize(RECORDED["dm/slack"]?.["dmMessage"]);
  expect(dm.dropped === undefined && dm.turn).toMatchObject({
    conversation: "slack:T00FAKE00AA:D0A5319PS02",
    text: "Hey!",
    address: { kind: "dm", thread: "1767377001.319859" },
  });
});

it("reads the channel token of a recorded message", () => {
  const result = normalize(RECORDED["channel-mention/slack"]?.["mention"]);
  expect(result.dropped === undefined && result.turn.text).toBe(
    "Can you see the name of this channel: #C00FAKECHAN2?",
  );
});

it("reads the recorded file of a mention", () => {
  const result = normalize(RECORDED["streaming/slack"]?.["aiMentionWithFile"], {
    self: { ...SELF, userId: String(RECORDED["streaming/slack"]?.["botUserId"]) },
  });
  expect(result.dropped === undefined && result.turn.attachments[0]).toMatchObject({
    id: expect.stringMatching(/^F/) as string,
    url: expect.stringMatching(/^https:\/\/files\.slack\.com\//) as string,
  });
});

it("never throws, whatever Slack sends", () => {
  const recordings = [RECORDED, { BOLT }, { SAMPLES }]
    .flatMap((file) => Object.values(file))
    .flatMap((each) => Object.values(each));
  expect(recordings.length).toBeGreaterThan(80);
  for (const recording of [...recordings, null, 7, "x", [], {}]) {
    const body = recording ?? {};
    const event = (body as { event?: unknown }).event;
    expect(() =>
      normalizeMessage(body, event, { self: SELF, names: new Map(), isOurThread: () => true }),
    ).not.toThrow();
    expect(() =>
      normalizeCommand(body, { names: new Map(), seal: (secret) => secret, now: 0 }),
    ).not.toThrow();
  }
});

it.each([
  "MessageChangedPayload",
  "MessageDeletedPayload",
  "MessageBotPayload",
  "MessageChannelJoinPayload",
  "MessageChannelTopicPayload",
  "MessageRepliedPayload",
  "MessageMePayload",
  "MessageEkmAccessDeniedPayload",
])("makes no turn of %s", (name) => {
  const body = SAMPLES[name] as { event: Record<string, unknown> };
  const event = {
    ...body.event,
    channel: "D1",
    channel_type: "im",
    user: "U2",
    ts: "1.2",
    text: "hi",
    hidden: false,
  };
  expect(
    normalizeMessage(body, event, { self: SELF, names: new Map(), isOurThread: () => true }).dropped,
  ).toBeDefined();
});

const message = (event: Record<string, unknown>): { team_id: string; event: Record<string, unknown> } => ({
  team_id: "T00FAKE00AA",
  event: { type: "message", user: "U2", ts: "1.2", channel: "C1", channel_type: "channel", ...event },
});

it.each([
  ["own message", { bot_id: "B00FAKEBOT01", text: "<@U00FAKEBOT01> hi" }],
  ["own message", { user: "U00FAKEBOT01", text: "<@U00FAKEBOT01> hi" }],
  ["from another bot", { bot_id: "B2", text: "<@U00FAKEBOT01> hi" }],
  ["not from a person", { user: "USLACKBOT", text: "<@U00FAKEBOT01> hi" }],
  ["for somebody else", { thread_ts: "1.1", text: "<@U3> look" }],
  ["for somebody else", { thread_ts: "1.1", text: " <!subteam^S1|@devs> please take over" }],
  ["for somebody else", { thread_ts: "1.1", text: "<!here> lunch" }],
  ["not for us", { text: "hello all" }],
])("§14.19 §14.20 drops what is %s", (dropped, event) => {
  expect(normalize(message(event), { ours: true })).toEqual({ dropped });
});

it.each([
  ["message.edited by an unfurl", { message: { text: "a" }, previous_message: { text: "a" } }],
  ["a real edit", { message: { text: "b", edited: { ts: "2" } }, previous_message: { text: "a" } }],
  ["a changed reply_count", { message: { text: "a", reply_count: 2 }, previous_message: { text: "a" } }],
])("§14.21 makes no turn of %s", (_what, change) => {
  expect(
    normalize(message({ subtype: "message_changed", hidden: true, user: undefined, ...change })).dropped,
  ).toBeDefined();
});

it.each([
  ["<@U00FAKEBOT01> why?", "why?"],
  ["why, <@U00FAKEBOT01|coze>?", "why, ?"],
  ["is it so <@U00FAKEBOT01>", "is it so"],
  ["<@U00FAKEBOT01>: and <@U00FAKEBOT01>", "and @coze"],
  ["<@U00FAKEBOT01>，为什么", "为什么"],
  ["- one\n- two\n<@U00FAKEBOT01> sort these", "- one\n- two\nsort these"],
  ["fix this\n<@U00FAKEBOT01>\n```\n  a\n```", "fix this\n\n```\n  a\n```"],
])("§14.25 takes the mention out of %j", (text, plain) => {
  const names = new Map([["U00FAKEBOT01", "coze"]]);
  expect(toPlainText(withoutMention(text, "U00FAKEBOT01"), names)).toBe(plain);
});

it.each([
  ["<@U2> and <@W3|grid>", "@Ada and @grid"],
  ["<#C1|general> <#C2>", "#general #C2"],
  ["<!here> <!channel> <!everyone>", "@here @channel @everyone"],
  ["<!subteam^S1|@team> <!date^1^{date}|today>", "@team today"],
  ["<mailto:a@b.example|a@b.example>", "a@b.example"],
  ["<https://a.example|here> <https://b.example>", "here (https://a.example) https://b.example"],
  ["<http://readme.md|readme.md> <tel:+4912|+49 12>", "readme.md +49 12"],
  ["<https://other.example|readme.md>", "readme.md (https://other.example)"],
  ["1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"],
  // Tokens first, entities last: what was escaped is no token.
  ["&lt;@U2&gt; &amp;lt;", "<@U2> &lt;"],
])("reads %j as people do", (text, plain) => {
  expect(toPlainText(text, new Map([["U2", "Ada"]]))).toBe(plain);
});

it("asks for the names of people on Grid as well", () => {
  expect(mentionedUsers("<@U1> <@W2|x> <@U1> <#C3>")).toEqual(["U1", "W2"]);
});

it("§14.27 keeps a guest's own workspace apart from the one we are in", () => {
  const body = {
    ...message({ text: "<@U00FAKEBOT01> hi", user_team: "T9GUEST" }),
    team_id: "T9GUEST",
    context_team_id: "T00FAKE00AA",
  };
  const result = normalize(body);
  expect(result.dropped === undefined && result.turn).toMatchObject({
    installation: "T00FAKE00AA",
    address: { team: "T00FAKE00AA", userTeam: "T9GUEST" },
  });
});

it("reads the recorded slash command", () => {
  const result = normalizeCommand(RECORDED["slash-commands/slack"]?.["slashCommandWithArgs"], {
    names: new Map(),
    seal: () => "sealed",
    now: 5,
  });
  expect(result.dropped === undefined && result.turn).toMatchObject({
    text: "some arguments here",
    installation: "T00FAKE00BB",
    sentAt: 5,
    address: { command: { responseUrl: "sealed", question: "some arguments here" } },
  });
});

it.each([
  ["an edit of our own message", true, {}],
  ["an edit of another bot's", false, { bot_id: "B2" }],
  ["an edit of a person's", false, { bot_id: undefined, user: "U1" }],
  ["a deletion of ours that has replies", false, { subtype: "tombstone" }],
])("tells %s from what may be for us", (_name, expected, changes) => {
  const message = { type: "message", ts: "1700000000.000100", bot_id: SELF.botId, ...changes };
  const event = { type: "message", subtype: "message_changed", channel: "C1", message };
  expect(isOwnChange({ type: "event_callback", event }, SELF)).toBe(expected);
  expect(isOwnChange({ type: "event_callback", event: message }, SELF)).toBe(false);
});

const FILE = {
  id: "F1",
  name: "a.png",
  mimetype: "image/png",
  size: 5,
  url_private: "https://files.slack.com/a",
};
const OPTIONAL = [
  "subtype",
  "channel_type",
  "bot_id",
  "app_id",
  "hidden",
  "thread_ts",
  "team",
  "user_team",
  "source_team",
  "files",
];

it.each(OPTIONAL)("%s: null is as good as absent", (key) => {
  const event = {
    ...message({ type: "app_mention", text: "<@U00FAKEBOT01> hi", thread_ts: "1.1" }).event,
    subtype: "file_share",
    team: "T1",
    user_team: "T2",
    source_team: "T3",
    files: [FILE],
  };
  const { [key as keyof typeof event]: _, ...absent } = event;
  const outcome = normalize(message({ ...absent }));
  expect(outcome.dropped).toBeUndefined();
  expect(normalize(message({ ...event, [key]: null }))).toEqual(outcome);
});

it("reads the question beside an odd file, and drops nothing that only lacks a name or an address", () => {
  const files = [null, { name: "no id" }, { id: "F2", name: 7, size: "5", url_private: {} }, FILE];
  const { turn } = normalize(message({ text: "<@U00FAKEBOT01> hi", files })) as { turn?: IncomingTurn };
  expect(turn?.text).toBe("hi");
  expect(turn?.attachments).toEqual([
    { id: "F2", name: "F2", url: "" },
    { id: "F1", name: "a.png", size: 5, contentType: "image/png", url: FILE.url_private },
  ]);
});

it("says by what a payload is none", () => {
  expect(normalize(message({ ts: 1.2, bot_id: 7 }))).toEqual({
    dropped: "unreadable",
    fields: ["bot_id", "ts"],
  });
});

it("quotes what is passed on, and no preview of a link", () => {
  const attachments = [
    { is_share: true, author_name: "Grace", text: "one &amp; <@U9>" },
    { title: "a page", text: "a preview", from_url: "https://example.com" },
    null,
    { is_share: true, author_name: "", author_id: "U00FAKEUSER1", text: null, fallback: "[then] Ada: two" },
    { is_share: true, author_name: "Grace", text: "" },
  ];
  const event = message({ text: "<@U00FAKEBOT01> well?", attachments });
  expect(normalize(event)).toMatchObject({
    turn: { text: "well?", quote: { author: "Grace, Ada", text: "Grace: one & @U9\nAda: [then] Ada: two" } },
  });
  const preview = message({ text: "<@U00FAKEBOT01> well?", attachments: [attachments[1]] });
  expect((normalize(preview) as { turn: object }).turn).not.toHaveProperty("quote");
});

it("reads what programs say under a name of theirs in attachments, and no preview of a link", () => {
  const alert = { title: "Disk", fallback: "[then] Disk", text: "91 % of <@U00FAKEUSER1>'s" };
  const names = new Map([["U00FAKEUSER1", "Ada"]]);
  const program = { username: "monitor", bot_profile: { name: "Monitor" }, text: "", attachments: [alert] };
  const read = (message: unknown): readonly [string, string] => {
    const content = parseContent(message);
    return [writerOf(content, names), wholeContentOf(content, names)];
  };
  expect(read(program)).toEqual(["monitor", "Disk\n91 % of @Ada's"]);
  expect(read({ ...program, username: null, text: "see" })).toEqual(["Monitor", "see"]);
  const forward = { is_share: true, author_name: "Grace", text: "one" };
  expect(read({ user: "U00FAKEUSER1", text: "look", attachments: [forward] })).toEqual([
    "Ada",
    "look\nGrace: one",
  ]);
  expect(read({ user: "U7", attachments: [forward] })).toEqual(["U7", "Grace: one"]);
  expect(read(null)).toEqual(["", ""]);
  const written = [
    {},
    { subtype: "file_share" },
    { subtype: "tombstone" },
    { subtype: "channel_join" },
    { hidden: true },
  ];
  expect(written.map(saysSomething)).toEqual([true, true, false, false, false]);
});

it("takes no time for tokens that nobody closes", () => {
  // A quarter of a million characters; each of them took a look at all that follow.
  const text = `<@U00FAKEBOT01> ${"<@U1|".repeat(50_000)}`;
  expect(mentionedUsers(text)).toEqual(["U00FAKEBOT01"]);
  expect(mentionedUsers("<@U1|not closed <@U2>")).toEqual(["U2"]);
  expect(withoutMention(text, "U00FAKEBOT01")).toHaveLength(250_000);
  // Nor for white space before a mention; each blank took a look at all that follow.
  const blanks = `a${" ".repeat(200_000)}b \t<@U00FAKEBOT01> c`;
  expect(withoutMention(blanks, "U00FAKEBOT01")).toBe(`a${" ".repeat(200_000)}b c`);
});
