import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseInteraction, parseMessage } from "../../adapters/discord/gateway-events.ts";
import {
  type NormalizeContext,
  normalizeInteraction,
  normalizeMessage,
  timeOfId,
} from "../../adapters/discord/normalize.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";

const BOT = "1457469483726668048";
const CONTEXT: NormalizeContext = {
  applicationId: BOT,
  botId: BOT,
  answersIn: () => false,
  channelType: () => undefined,
  guildLocale: () => undefined,
};
const ADA = { id: "500000000000000001", username: "ada", global_name: "Ada" };
const BEN = { id: "500000000000000002", username: "ben", global_name: "Ben" };
const BOT_USER = { id: BOT, username: "coze", global_name: null, bot: true };
const GUILD = "100000000000000001";
const CHANNEL = "300000000000000001";
const MESSAGE = "1473118766652199044";

/** A message as the gateway brings it; a mention of the bot in a guild channel by default. */
function aMessage(changes: object = {}): Record<string, unknown> {
  return {
    id: MESSAGE,
    channel_id: CHANNEL,
    guild_id: GUILD,
    channel_type: 0,
    type: 0,
    author: ADA,
    content: `<@${BOT}> hello`,
    mentions: [BOT_USER],
    attachments: [],
    ...changes,
  };
}

function outcomeOf(
  changes: object = {},
  context: Partial<NormalizeContext> = {},
): ReturnType<typeof normalizeMessage> {
  const message = parseMessage(aMessage(changes));
  if (message === undefined) throw new Error("not a message");
  return normalizeMessage(message, { ...CONTEXT, ...context });
}

function turnOf(changes: object = {}, context: Partial<NormalizeContext> = {}): IncomingTurn {
  const outcome = outcomeOf(changes, context);
  if (!("turn" in outcome)) throw new Error(`dropped: ${outcome.dropped}`);
  return outcome.turn;
}

const file = {
  id: "700000000000000001",
  filename: "a.png",
  size: 5,
  url: "https://cdn.discordapp.com/a",
  content_type: "image/png",
};

describe("a mention in a channel", () => {
  it("becomes a turn of channel and asker", () => {
    expect(turnOf()).toEqual({
      id: `discord:${BOT}:${CHANNEL}:${MESSAGE}#r0`,
      dedupeKey: `discord:${BOT}:${CHANNEL}:${MESSAGE}`,
      platform: "discord",
      installation: GUILD,
      conversation: `discord:${GUILD}:${CHANNEL}:${ADA.id}`,
      asker: { key: `discord:${BOT}:${ADA.id}`, name: "Ada" },
      text: "hello",
      attachments: [],
      locale: "en",
      sentAt: timeOfId(MESSAGE),
      address: { kind: "message", channelId: CHANNEL, messageId: MESSAGE },
    });
  });

  it("§11.11 knows the old form of a mention, and names others", () => {
    const content = `<@!${BOT}> ask <@${BEN.id}>`;
    expect(turnOf({ content, mentions: [BOT_USER, BEN] }).text).toBe("ask @Ben");
  });

  it("§11.11 leaves a mention inside a code block alone", () => {
    const content = `<@${BOT}> what is \`<@${BOT}>\`?`;
    expect(turnOf({ content }).text).toBe(`what is \`<@${BOT}>\`?`);
    expect(outcomeOf({ content: `\`<@${BOT}>\``, mentions: [] })).toEqual({ dropped: "not-addressed" });
  });

  it.each([
    ["everyone", { content: "@everyone", mentions: [], mention_everyone: true }],
    ["a role", { content: "<@&900000000000000009> hi", mentions: [], mention_roles: ["900000000000000009"] }],
    ["somebody else", { content: `<@${BEN.id}>`, mentions: [BEN] }],
    [
      "the bot only in the message replied to",
      {
        type: 19,
        content: "",
        mentions: [],
        referenced_message: { author: BEN, content: `<@${BOT}>`, attachments: [] },
      },
    ],
  ])("§11.11 is not for us when it mentions %s", (_whom, changes) => {
    expect(outcomeOf(changes)).toEqual({ dropped: "not-addressed" });
  });

  it("prefers the name somebody has in the guild", () => {
    expect(turnOf({ member: { nick: "Countess" } }).asker.name).toBe("Countess");
  });

  it("takes the guild's language as a hint", () => {
    expect(turnOf({ content: `<@${BOT}> ok` }, { guildLocale: () => "zh-CN" }).locale).toBe("zh");
  });
});

describe("a conversation", () => {
  it.each([10, 11, 12])("is the thread itself in a thread of type %i", (type) => {
    expect(turnOf({ channel_type: type }).conversation).toBe(`discord:${GUILD}:${CHANNEL}`);
  });

  it("§11.8 is the thread also when only the gateway's channels know it is one", () => {
    expect(turnOf({ channel_type: undefined }, { channelType: () => 11 }).conversation).toBe(
      `discord:${GUILD}:${CHANNEL}`,
    );
  });

  it.each([1, undefined])("§11.7 is the DM, with channel_type %s", (type) => {
    const turn = turnOf({ guild_id: undefined, channel_type: type, content: "hi", mentions: [] });
    expect(turn).toMatchObject({ conversation: `discord:dm:${CHANNEL}`, installation: "dm", text: "hi" });
  });
});

describe("a reply", () => {
  const reference = { type: 0, channel_id: CHANNEL, message_id: "800000000000000001" };

  it("to one of ours continues its conversation, without a quote", () => {
    const referenced = { author: BOT_USER, content: "my answer", attachments: [] };
    const changes = {
      type: 19,
      content: "and?",
      mentions: [],
      message_reference: reference,
      referenced_message: referenced,
    };
    const turn = turnOf(changes);
    expect(turn.continues).toBe(`discord:${CHANNEL}:800000000000000001`);
    expect(turn.quote).toBeUndefined();
  });

  it("to somebody else brings what they wrote, and their files", () => {
    const referenced = { author: BEN, content: "the sky is green", attachments: [file] };
    const turn = turnOf({ type: 19, message_reference: reference, referenced_message: referenced });
    expect(turn.quote).toEqual({ author: "Ben", text: "the sky is green" });
    expect(turn.attachments).toMatchObject([{ id: file.id, name: "a.png" }]);
    expect(turn.continues).toBe(`discord:${CHANNEL}:800000000000000001`);
  });

  it.each([
    ["deleted", null],
    ["not fetched", undefined],
  ])("§11.10 to a message that is %s is still a turn", (_why, referenced) => {
    const turn = turnOf({ type: 19, message_reference: reference, referenced_message: referenced });
    expect(turn).toMatchObject({ text: "hello", continues: `discord:${CHANNEL}:800000000000000001` });
    expect(turn.quote).toBeUndefined();
  });

  it("without ping comes empty, and its author is told why", () => {
    const referenced = { author: BOT_USER, content: "my answer", attachments: [] };
    expect(outcomeOf({ type: 19, content: "", mentions: [], referenced_message: referenced })).toMatchObject({
      dropped: "unreadable",
      help: { channelId: CHANNEL, messageId: MESSAGE },
    });
  });
});

describe("what a message carries", () => {
  const dm = { guild_id: undefined, channel_type: 1, content: "", mentions: [] };

  it("§11.10 may be a file alone", () => {
    expect(turnOf({ ...dm, attachments: [file] })).toMatchObject({
      text: "",
      attachments: [{ id: file.id, name: "a.png", size: 5, contentType: "image/png", url: file.url }],
    });
  });

  it("§11.10 may be a sticker alone", () => {
    expect(turnOf({ ...dm, sticker_items: [{ name: "wave" }] }).text).toBe("[wave]");
  });

  it("§11.10 may be a voice message", () => {
    const voice = { ...file, filename: "voice-message.ogg", content_type: "audio/ogg", duration_secs: 2 };
    expect(turnOf({ ...dm, flags: 8192, attachments: [voice] }).attachments).toMatchObject([
      { contentType: "audio/ogg" },
    ]);
  });

  it("§11.10 may be a forward with two files", () => {
    const snapshot = {
      message: { content: "read this", attachments: [file, { ...file, id: "700000000000000002" }] },
    };
    const turn = turnOf({
      ...dm,
      message_reference: { type: 1, message_id: "1" },
      message_snapshots: [snapshot],
    });
    // Whose words they are Discord does not say; they are not the asker's.
    expect(turn).toMatchObject({ text: "", quote: { author: "", text: "read this" } });
    expect(turn.attachments).toHaveLength(2);
    expect(turn.continues).toBeUndefined();
  });

  it("§11.9 is nothing when it is empty without a mention", () => {
    expect(outcomeOf({ content: "", mentions: [] })).toEqual({ dropped: "not-addressed" });
  });

  it.each([
    ["a lone mention", { content: `<@${BOT}>` }],
    ["an empty DM", dm],
  ])("is worth a word of help in %s", (_what, changes) => {
    expect(outcomeOf(changes)).toMatchObject({ dropped: "empty", help: { messageId: MESSAGE } });
  });
});

describe("§11.12 what nobody wrote", () => {
  it.each([
    ["own", { author: BOT_USER }],
    ["bot", { author: { ...BEN, bot: true } }],
    ["webhook", { webhook_id: "1", author: { ...BEN, bot: true } }],
    ["system", { author: { ...BEN, system: true } }],
    ["system", { type: 6 }],
    ["system", { type: 21 }],
  ])("is dropped as %s", (reason, changes) => {
    expect(outcomeOf(changes)).toEqual({ dropped: reason });
  });
});

describe("recorded in production", () => {
  const path = join(import.meta.dirname, "../fixtures/specs/recorded/discord-production-events.json");
  // Taken as they are; the parser decides what they hold.
  const recorded = JSON.parse(readFileSync(path, "utf8")) as Record<
    string,
    Record<string, { data?: unknown }>
  >;
  const recording = (group: string, name: string): ReturnType<typeof normalizeMessage> | undefined => {
    const message = parseMessage(recorded[group]?.[name]?.data);
    return message && normalizeMessage(message, CONTEXT);
  };

  it.each([
    ["main", "gatewayMention", { text: "Hey", conversation: /^discord:\d+:\d+:\d+$/ }],
    ["main", "gatewayAIMention", { text: "AI What is love", conversation: /^discord:\d+:\d+:\d+$/ }],
    ["channel", "mention", { text: "Test", conversation: /^discord:\d+:\d+:\d+$/ }],
  ])("%s %s is a turn", (group, name, { text, conversation }) => {
    const outcome = recording(group, name);
    expect(outcome).toMatchObject({
      turn: { text, conversation: expect.stringMatching(conversation) as string },
    });
  });

  it.each([
    ["gatewayRoleMention", "not-addressed"],
    ["gatewaySubscribedMessage", "not-addressed"],
    ["gatewayBotWelcome", "own"],
  ])("%s is none", (name, reason) => {
    expect(recording("main", name)).toEqual({ dropped: reason });
  });

  it("a click on somebody's button is no command of ours", () => {
    const interaction = parseInteraction({ ...recorded["main"]?.["buttonClickHello"], token: "t", type: 3 });
    expect(interaction && normalizeInteraction(interaction, CONTEXT)).toEqual({ dropped: "unknown-command" });
  });
});

describe("a slash command", () => {
  const interaction = {
    id: MESSAGE,
    token: "t",
    type: 2,
    channel_id: CHANNEL,
    guild_id: GUILD,
    channel: { id: CHANNEL, type: 0 },
    locale: "zh-CN",
    app_permissions: String((1n << 10n) | (1n << 11n)),
    authorizing_integration_owners: { "0": GUILD },
    member: { nick: null, user: ADA },
    data: { name: "coze", type: 1, options: [{ name: "question", type: 3, value: "why?" }] },
  };
  const commandOf = (changes: object): ReturnType<typeof normalizeInteraction> => {
    const parsed = parseInteraction({ ...interaction, ...changes });
    if (parsed === undefined) throw new Error("not an interaction");
    return normalizeInteraction(parsed, CONTEXT);
  };

  it("asks in the conversation of channel and asker, in the asker's language", () => {
    expect(commandOf({})).toMatchObject({
      command: {
        viaChannel: true,
        turn: {
          id: `discord:${BOT}:i:${MESSAGE}#r0`,
          dedupeKey: `discord:${BOT}:i:${MESSAGE}`,
          conversation: `discord:${GUILD}:${CHANNEL}:${ADA.id}`,
          text: "why?",
          locale: "zh",
        },
      },
    });
  });

  it("§11.49 brings a long question whole, and its file", () => {
    const question = "长".repeat(6000);
    const data = {
      name: "coze",
      options: [
        { name: "question", type: 3, value: question },
        { name: "file", type: 11, value: file.id },
      ],
      resolved: { attachments: { [file.id]: file } },
    };
    expect(commandOf({ data })).toMatchObject({
      command: { turn: { text: question, attachments: [{ id: file.id }] } },
    });
  });

  it("in a DM belongs to the DM", () => {
    const dm = { guild_id: undefined, member: undefined, user: ADA, channel: { id: CHANNEL, type: 1 } };
    expect(commandOf(dm)).toMatchObject({ command: { turn: { conversation: `discord:dm:${CHANNEL}` } } });
  });

  it.each([
    ["the bot is not in the guild", { authorizing_integration_owners: { "1": ADA.id } }],
    ["it may not write here", { app_permissions: String(1n << 10n) }],
    ["a thread allows it only in channels", { channel: { id: CHANNEL, type: 11 } }],
  ])("has no way into the channel when %s", (_why, changes) => {
    expect(commandOf(changes)).toMatchObject({ command: { viaChannel: false } });
  });

  it("of another name is not ours", () => {
    expect(commandOf({ data: { name: "other" } })).toEqual({ dropped: "unknown-command" });
  });
});

it("takes a forwarded message in a thread of ours for a question, as it takes a file", () => {
  const forwarded = { content: "", mentions: [], message_snapshots: [{ message: { content: "explain" } }] };
  const thread = { channel_type: 11, ...forwarded };
  expect(turnOf(thread, { answersIn: () => true }).quote?.text).toBe("explain");
  expect(outcomeOf({ ...thread, message_snapshots: [] }, { answersIn: () => true })).toHaveProperty(
    "dropped",
  );
});

describe("what Discord leaves out or sends oddly", () => {
  const whole = aMessage({
    attachments: [file],
    sticker_items: [{ name: "Wave" }],
    member: { nick: "Countess" },
    edited_timestamp: "2026-01-01T00:00:00.000Z",
    type: 19,
    message_reference: { type: 0, channel_id: CHANNEL, message_id: "1473118766652199000" },
    referenced_message: { content: "before", attachments: [file], author: BEN },
  });
  const optionalFields = [
    ["guild_id"],
    ["channel_type"],
    ["content"],
    ["mentions"],
    ["attachments"],
    ["attachments", 0, "size"],
    ["attachments", 0, "content_type"],
    ["attachments", 0, "filename"],
    ["attachments", 0, "url"],
    ["sticker_items"],
    ["member"],
    ["member", "nick"],
    ["edited_timestamp"],
    ["webhook_id"],
    ["author", "global_name"],
    ["author", "bot"],
    ["message_reference"],
    ["message_reference", "type"],
    ["message_reference", "message_id"],
    ["message_snapshots"],
    ["referenced_message", "content"],
    ["referenced_message", "attachments"],
  ];

  it.each(optionalFields.map((path) => [path.join("."), path]))(
    "%s: null is as good as absent",
    (_, path) => {
      const outcome = (change: (at: Record<string, unknown>, key: string) => void): unknown => {
        const message = structuredClone(whole);
        const keys = path.map(String);
        const last = keys.pop() ?? "";
        change(
          keys.reduce((at, key) => at[key] as Record<string, unknown>, message),
          last,
        );
        const parsed = parseMessage(message);
        return parsed && normalizeMessage(parsed, CONTEXT);
      };
      const absent = outcome((at, key) => delete at[key]);
      expect(absent).toBeDefined();
      expect(outcome((at, key) => Object.assign(at, { [key]: null }))).toEqual(absent);
    },
  );

  it("reads the question beside an odd file, sticker, mention, forward or quote", () => {
    const odd = {
      attachments: [null, { filename: "no id" }, { ...file, size: "5", filename: 7, url: undefined }, file],
      sticker_items: [{}],
      mentions: [{ id: 1 }, BOT_USER],
      message_snapshots: [{ message: null }],
      referenced_message: { author: "?" },
      message_reference: "?",
    };
    const { text, attachments } = turnOf(odd);
    expect(text).toBe("hello");
    expect(attachments.map(({ name }) => name)).toEqual(["file", "a.png"]);
  });

  it("says by what a message is none", () => {
    const fields: string[] = [];
    expect(parseMessage(aMessage({ author: null, type: "0" }), (odd) => fields.push(...odd))).toBeUndefined();
    expect(fields).toEqual(["type", "author"]);
    expect(parseInteraction({ id: "1", token: 1, type: 2 }, (odd) => fields.push(...odd))).toBeUndefined();
    expect(fields.at(-1)).toBe("token");
  });
});

it("has to read what stands above in a thread that we do not answer in, where nothing is replied to", () => {
  const inThread = { channel_type: 11 };
  expect(turnOf(inThread)).toMatchObject({ belowTalk: true });
  expect(turnOf(inThread, { answersIn: () => true })).not.toHaveProperty("belowTalk");
  expect(turnOf()).not.toHaveProperty("belowTalk");
});

it("knows who is meant also where their names are odd", () => {
  expect(turnOf({ mentions: [{ ...BOT_USER, username: null }] }).text).toBe("hello");
  const { asker } = turnOf({ author: { ...ADA, username: 7, global_name: null } });
  expect(asker.name).toBe(ADA.id);
});
