import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { answerOf, type Bridge, CREATE, calls, openBridge } from "./harness.ts";

let discord: DiscordStandIn;
let edits: { readonly question: IncomingTurn; readonly changedAt: number }[];

beforeEach(async () => {
  discord = await startDiscord();
  edits = [];
});

afterEach(() => discord[Symbol.asyncDispose]());

function open(): Promise<Bridge> {
  return openBridge(discord, {
    onEdited: (question, changedAt) => Promise.resolve(void edits.push({ question, changedAt })),
  });
}

/** Sends the message as it is, as Discord does for previews, pins and flags. */
function update(messageId: string): void {
  const message = discord.world.messages.get(messageId);
  if (message !== undefined) discord.gateway.dispatchMessage("MESSAGE_UPDATE", message);
}

/** Everything that was sent before it has been taken in then. */
async function settled(bridge: Bridge): Promise<void> {
  const count = bridge.turns.length;
  discord.person("Ada").say(discord.general, "@Coze last");
  await expect.poll(() => bridge.turns.length).toBeGreaterThan(count);
}

describe("§11.13 an update of a question", () => {
  it("with a time and another text is a change, under the key of the question", async () => {
    await using bridge = await open();
    const ada = discord.person("Ada");
    const id = ada.say(discord.general, "@Coze what?");
    await expect.poll(() => bridge.turns).toHaveLength(1);
    ada.edit(id, "@Coze what else?");
    await expect.poll(() => edits).toHaveLength(1);
    const [{ question, changedAt } = {}] = edits;
    expect(question).toMatchObject({
      dedupeKey: bridge.turns[0]?.dedupeKey,
      conversation: bridge.turns[0]?.conversation,
      text: "what else?",
      sentAt: bridge.turns[0]?.sentAt,
    });
    expect(changedAt).toBe(Date.parse(discord.world.messages.get(id)?.edited_timestamp ?? ""));
  });

  it("without a time is none: previews, pins, flags", async () => {
    await using bridge = await open();
    update(discord.person("Ada").say(discord.general, "@Coze look at https://example.com"));
    await settled(bridge);
    expect(edits).toEqual([]);
  });

  it("is told with the same time when a preview follows it", async () => {
    await using bridge = await open();
    const ada = discord.person("Ada");
    const id = ada.say(discord.general, "@Coze what?");
    ada.edit(id, "@Coze look at https://example.com");
    update(id);
    await expect.poll(() => edits).toHaveLength(2);
    expect(edits[0]?.changedAt).toBe(edits[1]?.changedAt);
    expect(bridge.turns).toHaveLength(1);
  });

  it("that takes our mention away, or is our own, asks us nothing", async () => {
    await using bridge = await open();
    const ada = discord.person("Ada");
    const id = ada.say(discord.general, "@Coze what?");
    await expect.poll(() => bridge.turns).toHaveLength(1);
    const reply = await bridge.reply(bridge.turns[0] as IncomingTurn);
    reply.show({ answer: answerOf("Be") });
    await reply.finish({ answer: answerOf("Because.", true) });
    ada.edit(id, "never mind");
    await settled(bridge);
    expect(edits).toEqual([]);
  });

  it("in a DM needs no mention", async () => {
    await using _bridge = await open();
    const ada = discord.person("Ada");
    ada.edit(ada.dm("what?"), "what else?");
    await expect.poll(() => edits.map(({ question }) => question.text)).toEqual(["what else?"]);
  });
});

describe("the answer to a changed question", () => {
  const answered = async (bridge: Bridge, text: string): Promise<IncomingTurn> => {
    discord.person("Ada").say(discord.general, "@Coze what?");
    await expect.poll(() => bridge.turns).toHaveLength(1);
    const [turn] = bridge.turns;
    if (turn === undefined) throw new Error("no turn");
    await (await bridge.reply(turn)).finish({ answer: answerOf(text, true) });
    return turn;
  };
  const fromBot = () => discord.view(discord.general).messages.filter(({ bot }) => bot);
  const long = (letter: string): string => `${letter.repeat(1990)}\n\n${letter.repeat(1990)}`;

  it("stands in the messages of the earlier one; those too many go", async () => {
    await using bridge = await open();
    const turn = await answered(bridge, long("a"));
    const before = fromBot().map(({ id }) => id);
    const earlier = bridge.saved;
    const redo = { ...turn, id: turn.id.replace("#r0", "#r1") };
    const reply = await bridge.reply(redo, { ...(earlier !== undefined && { earlier }) });
    reply.show({ answer: answerOf("b") });
    await reply.finish({ answer: answerOf("bb", true) });
    expect(fromBot().map(({ id, text }) => [id, text])).toEqual([[before[0], "bb"]]);
  });

  it("gets the messages that are missing, below", async () => {
    await using bridge = await open();
    const turn = await answered(bridge, "a");
    const before = fromBot().map(({ id }) => id);
    const earlier = bridge.saved;
    const redo = { ...turn, id: turn.id.replace("#r0", "#r1") };
    const reply = await bridge.reply(redo, { ...(earlier !== undefined && { earlier }) });
    await reply.finish({ answer: answerOf(long("b"), true) });
    expect(fromBot().map(({ text }) => text[0])).toEqual(["b", "b"]);
    expect(fromBot()[0]?.id).toBe(before[0]);
    const nonces = calls(discord, CREATE).map(({ request }) => (request as { nonce?: string }).nonce);
    expect(new Set(nonces).size).toBe(nonces.length);
  });
});
