import { describe, expect, it } from "vitest";
import { editedMessage } from "../../adapters/slack/normalize.ts";
import { answer, callsOf, openBridge, SOON } from "./bridge.ts";

const HELLO = { type: "message", user: "U1", text: "hello", ts: "100.000001" };
const changed = (message: object, before: object = HELLO): object => ({
  type: "message",
  subtype: "message_changed",
  hidden: true,
  channel: "C1",
  channel_type: "channel",
  ts: "200.000001",
  message,
  previous_message: before,
});
const EDITED = { user: "U1", ts: "150.000000" };

describe("§3.2 a changed message", () => {
  it("is an edit when another text was written at another time", () => {
    const event = changed({ ...HELLO, text: "hello you", edited: EDITED });
    expect(editedMessage(event)).toMatchObject({
      event: { ...HELLO, text: "hello you", channel: "C1", channel_type: "channel" },
      changedAt: 150_000,
    });
  });

  it.each([
    ["a preview", { ...HELLO, attachments: [{}] }, HELLO],
    ["a reply count", { ...HELLO, thread_ts: HELLO.ts, reply_count: 1 }, HELLO],
    ["a preview after an edit", { ...HELLO, edited: EDITED }, { ...HELLO, edited: EDITED }],
    ["another text at the same time", { ...HELLO, text: "x", edited: EDITED }, { ...HELLO, edited: EDITED }],
    ["a stream", { ...HELLO, text: "hello and", streaming_state: "in_progress" }, HELLO],
  ])("is none for %s", (_what, message, before) => {
    expect(editedMessage(changed(message, before))).toBeUndefined();
  });

  it("stands where it stood: the root of a thread was no reply when it was asked", () => {
    const event = changed({ ...HELLO, text: "x", edited: EDITED, thread_ts: HELLO.ts });
    expect(editedMessage(event)?.event).not.toHaveProperty("thread_ts");
    const reply = changed({ ...HELLO, text: "x", edited: EDITED, thread_ts: "90.000001" });
    expect(editedMessage(reply)?.event).toHaveProperty("thread_ts", "90.000001");
  });
});

describe("an edited question", () => {
  it("is told under its old key, conversation included, in channel and DM", async () => {
    await using bridge = await openBridge();
    const { slack, turns, edited } = bridge;
    const ada = slack.person("Ada");
    const inChannel = ada.say(slack.general, "@Coze what?");
    const inDm = ada.dm("what?");
    await expect.poll(() => turns, SOON).toHaveLength(2);
    // With a reply below it the message is a root.
    await (await bridge.reply(turns[0])).reply.finish({ answer: answer("Because.") });
    await (await bridge.reply(turns[1])).reply.finish({ answer: answer("Because.") });
    ada.edit(slack.general, inChannel.ts, "@Coze what else?");
    ada.edit(inDm.channel, inDm.ts, "what else?");
    await expect.poll(() => edited, SOON).toHaveLength(2);
    const facts = ({ dedupeKey, conversation }: (typeof turns)[number]) => ({ dedupeKey, conversation });
    const byKey = (one: { dedupeKey: string }, other: { dedupeKey: string }): number =>
      one.dedupeKey.localeCompare(other.dedupeKey);
    expect(edited.map(({ question }) => facts(question)).sort(byKey)).toEqual(turns.map(facts).sort(byKey));
    expect(new Set(edited.map(({ question }) => question.text))).toEqual(new Set(["what else?"]));
  });

  it("is acknowledged only once the change is stored", async () => {
    let failures = 0;
    await using bridge = await openBridge({
      onTurn: ({ text }) => {
        if (text !== "better" || failures > 0) return Promise.resolve();
        failures += 1;
        return Promise.reject(new Error("not now"));
      },
    });
    const { slack, turns, edited } = bridge;
    const ada = slack.person("Ada");
    const { channel, ts } = ada.dm("good");
    await expect.poll(() => turns, SOON).toHaveLength(1);
    const [delivery] = ada.edit(channel, ts, "better");
    await expect.poll(() => edited.map(({ question }) => question.text), SOON).toEqual(["better"]);
    await delivery?.done;
    expect([failures, delivery?.acked]).toEqual([1, true]);
  });

  it("without our mention asks us nothing", async () => {
    await using bridge = await openBridge();
    const { slack, turns, edited } = bridge;
    const ada = slack.person("Ada");
    const { ts } = ada.say(slack.general, "@Coze what?");
    await expect.poll(() => turns, SOON).toHaveLength(1);
    const [delivery] = ada.edit(slack.general, ts, "never mind");
    await delivery?.done;
    expect(edited).toEqual([]);
  });

  it("is answered in the messages of its former stream, which are marked as its own", async () => {
    await using bridge = await openBridge();
    const { slack, turns } = bridge;
    const { channel } = slack.person("Ada").dm("what?");
    await expect.poll(() => turns, SOON).toHaveLength(1);
    const first = await bridge.reply(turns[0]);
    first.reply.show({ answer: answer("Because of") });
    await first.reply.finish({ answer: answer("Because of this.") });
    const fromBot = () => slack.view(channel).messages.filter(({ bot }) => bot);
    const before = fromBot().map(({ id }) => id);
    const earlier = first.saves.at(-1);
    const again = await bridge.reply(turns[0], undefined, {
      reference: "R1R1R1",
      ...(earlier !== undefined && { earlier }),
    });
    await again.reply.finish({ answer: answer("Because of that.") });
    expect(fromBot().map(({ id, text, unfinished }) => [id, text.trim(), unfinished])).toEqual([
      [before[0], "Because of that.", false],
    ]);
    expect(callsOf(slack, "chat.startStream")).toHaveLength(1);
    expect(callsOf(slack, "chat.update")).toMatchObject([
      { metadata: { event_payload: { turn: "R1R1R1", part: 0 } } },
    ]);
  });
});
