import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { type Bridge, CREATE, calls, openBridge } from "./harness.ts";

let discord: DiscordStandIn;

beforeEach(async () => {
  discord = await startDiscord();
});

afterEach(() => discord[Symbol.asyncDispose]());

/** Says something and waits until the turn of a marker sent after it has come: what was dropped is dropped by then. */
async function settle(bridge: Bridge): Promise<void> {
  const marker = `marker ${discord.world.ids.next()}`;
  discord.person("Marker").dm(marker);
  await expect.poll(() => bridge.turns.some(({ text }) => text === marker)).toBe(true);
}

function texts(bridge: Bridge): readonly string[] {
  return bridge.turns.map(({ text }) => text).filter((text) => !text.startsWith("marker"));
}

describe("what people write", () => {
  it("arrives from a channel, a thread, a reply and a DM, without the content intent", async () => {
    await using bridge = await openBridge(discord);
    const ada = discord.person("Ada");
    const thread = discord.addThread(discord.general, "Plans");
    ada.say(discord.general, "@Coze in a channel");
    ada.say(thread, "@Coze in a thread");
    ada.dm("in a DM");
    const ours = discord.world.addMessage({
      channelId: discord.general,
      author: discord.world.bot,
      content: "ours",
    });
    ada.say(discord.general, "a reply", { replyTo: ours.id });
    await expect.poll(() => bridge.turns).toHaveLength(4);
    expect(
      bridge.turns.map(({ text, conversation }) => [text, conversation.split(":").slice(3).length]),
    ).toEqual([
      ["in a channel", 1],
      ["in a thread", 0],
      ["in a DM", 0],
      ["a reply", 1],
    ]);
    expect(bridge.turns[3]?.continues).toBe(`discord:${discord.general}:${ours.id}`);
  });

  it.each([
    ["and is heard where the operator has switched the content intent on", true],
    ["and is not heard without the content intent, nor is anybody told so", false],
  ])("goes on without a mention in a thread that we answer in, %s", async (_what, messageContent) => {
    await using standIn = await startDiscord({ messageContent });
    await using bridge = await openBridge(standIn);
    const [ada, bob] = [standIn.person("Ada"), standIn.person("Bob")];
    const [ours, other] = ["Plans", "Theirs"].map((name) => standIn.addThread(standIn.general, name));
    if (ours === undefined || other === undefined) throw new Error("no thread");
    const first = ada.say(ours, "@Coze begin");
    await expect.poll(() => bridge.turns).toHaveLength(1);
    bob.say(ours, "and then?");
    bob.say(ours, "to Ada", { replyTo: first });
    bob.say(ours, "@everyone look");
    bob.say(other, "not for us");
    bob.say(standIn.general, "nor this");
    ada.say(ours, "@Coze end");
    await expect.poll(() => bridge.turns.at(-1)?.text).toBe("end");
    expect(bridge.turns.map(({ text }) => text)).toEqual([
      "begin",
      ...(messageContent ? ["and then?"] : []),
      "end",
    ]);
    expect(new Set(bridge.turns.map(({ conversation }) => conversation)).size).toBe(1);
    expect(standIn.view(ours).messages.filter(({ bot }) => bot)).toEqual([]);
  });

  it("§11.7 arrives from a DM also without channel_type", async () => {
    await using bridge = await openBridge(discord);
    discord.gateway.sendsChannelType = false;
    const ada = discord.person("Ada");
    ada.dm("hello");
    await expect.poll(() => texts(bridge)).toEqual(["hello"]);
    expect(bridge.turns[0]?.conversation).toBe(`discord:dm:${ada.dmChannel}`);
  });

  it("§11.8 arrives from a thread that was never seen before", async () => {
    await using bridge = await openBridge(discord);
    const thread = discord.addThread(discord.general, "New");
    discord.person("Ada").say(thread, "@Coze hi");
    await expect.poll(() => bridge.turns[0]?.conversation).toBe(`discord:${discord.guildId}:${thread}`);
  });

  it("§11.9 §11.12 is left alone when it is not for us", async () => {
    await using bridge = await openBridge(discord);
    const other = discord.world.addUser("Robot", { bot: true });
    discord.person("Ada").say(discord.general, "nobody in particular");
    discord.gateway.dispatchMessage(
      "MESSAGE_CREATE",
      discord.world.addMessage({
        channelId: discord.general,
        author: other,
        content: `<@${discord.botId}> loop?`,
      }),
    );
    discord.person("Ada").say(discord.general, "@Coze pinned", { extras: { type: 6 } });
    discord
      .person("Ada")
      .say(discord.general, "@Coze hook", { extras: { webhook_id: "100000000000000009" } });
    await settle(bridge);
    expect(texts(bridge)).toEqual([]);
    expect(calls(discord, CREATE)).toEqual([]);
  });

  it("gets a word of help when it is only our name", async () => {
    await using bridge = await openBridge(discord);
    discord.gateway.duplicateNext();
    discord.person("Ada").say(discord.general, "@Coze");
    await expect.poll(() => calls(discord, CREATE)).toHaveLength(2);
    const said = discord.view(discord.general).messages.filter(({ bot }) => bot);
    expect(said).toMatchObject([{ text: "Ask me something: mention me with your question, or use /coze." }]);
    expect(bridge.turns).toEqual([]);
  });

  it("that a reply without ping keeps from us gets a word of help too", async () => {
    await using bridge = await openBridge(discord);
    const ours = discord.world.addMessage({
      channelId: discord.general,
      author: discord.world.bot,
      content: "ours",
    });
    discord.person("Ada").say(discord.general, "and?", { replyTo: ours.id, ping: false });
    await expect
      .poll(() => discord.view(discord.general).messages.at(-1)?.text)
      .toMatch(/^I can only read replies/);
    expect(bridge.turns).toEqual([]);
  });

  it("§11.13 is not asked again when it is edited or gets a preview", async () => {
    await using bridge = await openBridge(discord);
    const ada = discord.person("Ada");
    const id = ada.say(discord.general, "@Coze first");
    ada.edit(id, `<@${discord.botId}> second`);
    await settle(bridge);
    expect(texts(bridge)).toEqual(["first"]);
  });

  it("is answered with a sentence when it cannot be stored", async () => {
    const onTurn = (): Promise<void> => Promise.reject(new BridgeError("QUEUE_FULL", "full"));
    await using _bridge = await openBridge(discord, { onTurn });
    discord.person("Ada").dm("你好");
    const place = discord.person("Ada").dmChannel;
    await expect
      .poll(() => discord.view(place).messages.at(-1)?.text)
      .toBe("等待的问题太多，请过几分钟再试。");
  });
});

describe("what arrives twice", () => {
  it("§11.1 has the same key both times", async () => {
    await using bridge = await openBridge(discord);
    discord.gateway.duplicateNext();
    discord.person("Ada").dm("once");
    await expect.poll(() => bridge.turns).toHaveLength(2);
    expect(bridge.turns[0]?.dedupeKey).toBe(bridge.turns[1]?.dedupeKey);
  });

  it("§11.16 has the same key from two gateways", async () => {
    await using one = await openBridge(discord);
    await using two = await openBridge(discord);
    discord.person("Ada").dm("once");
    await expect.poll(() => [one.turns.length, two.turns.length]).toEqual([1, 1]);
    expect(one.turns[0]?.dedupeKey).toBe(two.turns[0]?.dedupeKey);
  });
});

describe("files", () => {
  const bytes = new TextEncoder().encode("hello");
  const options = { maxBytes: 1000, signal: new AbortController().signal };
  const fetchFirst = async (bridge: Bridge): Promise<number> => {
    const [turn] = bridge.turns;
    const [attachment] = turn?.attachments ?? [];
    if (turn === undefined || attachment === undefined) throw new Error("no file");
    const whole = { ...turn, v: 1 as const, reference: "R", route: { botId: "1" } };
    await using file = await bridge.adapter.fetchAttachment(whole, attachment, options);
    return file.bytes;
  };

  it("are fetched from Discord's own host", async () => {
    await using bridge = await openBridge(discord);
    discord.person("Ada").dm("", { files: [{ name: "a.txt", bytes }] });
    await expect.poll(() => bridge.turns).toHaveLength(1);
    expect(await fetchFirst(bridge)).toBe(5);
    expect(calls(discord, /^GET \/channels/)).toEqual([]);
  });

  it("whose address has expired are signed anew", async () => {
    await using bridge = await openBridge(discord);
    const ada = discord.person("Ada");
    ada.dm("", { files: [{ name: "a.txt", bytes }] });
    await expect.poll(() => bridge.turns).toHaveLength(1);
    const [turn] = bridge.turns;
    const stale = turn?.attachments.map((file) => ({ ...file, url: file.url.replace(/ex=\w+/, "ex=1") }));
    bridge.turns.splice(0, 1, { ...turn, attachments: stale } as (typeof bridge.turns)[number]);
    expect(await fetchFirst(bridge)).toBe(5);
    expect(calls(discord, /^GET \/channels\/\d+\/messages\/\d+$/)).toHaveLength(1);
    expect(calls(discord, /^GET \/cdn/)).toHaveLength(1);
  });

  it("whose host has forgotten them early are signed anew as well", async () => {
    await using bridge = await openBridge(discord);
    discord.person("Ada").dm("", { files: [{ name: "a.txt", bytes }] });
    await expect.poll(() => bridge.turns).toHaveLength(1);
    const [turn] = bridge.turns;
    const broken = turn?.attachments.map((file) => ({ ...file, url: file.url.replace(/hm=\w+/, "hm=1") }));
    bridge.turns.splice(0, 1, { ...turn, attachments: broken } as (typeof bridge.turns)[number]);
    expect(await fetchFirst(bridge)).toBe(5);
    expect(calls(discord, /^GET \/cdn/).map(({ status }) => status)).toEqual([404, 200]);
  });

  it("§11.49 of a command cannot be signed anew: they are gone", async () => {
    await using bridge = await openBridge(discord);
    discord.person("Ada").slash(discord.general, { question: "what is it?", file: { name: "a.txt", bytes } });
    await expect.poll(() => bridge.turns).toHaveLength(1);
    const [turn] = bridge.turns;
    const stale = turn?.attachments.map((file) => ({ ...file, url: file.url.replace(/ex=\w+/, "ex=1") }));
    bridge.turns.splice(0, 1, { ...turn, attachments: stale } as (typeof bridge.turns)[number]);
    await expect(fetchFirst(bridge)).rejects.toMatchObject({ code: "FILE_GONE" });
  });
});

describe("a question that is taken away", () => {
  it("§11.14 is named after it was taken in, alone or among many", async () => {
    const happened: string[] = [];
    await using _bridge = await openBridge(discord, {
      onTurn: ({ dedupeKey }) => Promise.resolve(void happened.push(dedupeKey)),
      onGone: (dedupeKey) => Promise.resolve(void happened.push(`gone ${dedupeKey}`)),
    });
    const ada = discord.person("Ada");
    const key = (id: string): string => `discord:${discord.applicationId}:${discord.general}:${id}`;
    const elsewhere = ada.say(discord.addChannel("elsewhere"), "not for the bot");
    const [one, two] = [ada.say(discord.general, "@Coze one"), ada.say(discord.general, "@Coze two")];
    discord.removeMessage(elsewhere);
    discord.removeMessage(one);
    discord.gateway.dispatch("MESSAGE_DELETE_BULK", { ids: [two], channel_id: discord.general });
    await expect.poll(() => happened).toEqual([key(one), key(two), `gone ${key(one)}`, `gone ${key(two)}`]);
  });
});

it("a channel is told once a minute that nothing is taken, not once per question", async () => {
  await using bridge = await openBridge(discord, {
    onTurn: () => Promise.reject(new BridgeError("QUEUE_FULL", "full")),
  });
  for (let count = 0; count < 20; count += 1) discord.person("Ada").say(discord.general, "@Coze hi");
  discord.person("Bob").dm("hi");
  const refused = (): number => bridge.log.filter(({ level }) => level === "error").length;
  await expect.poll(refused).toBe(21);
  await expect.poll(() => calls(discord, CREATE).map(({ status }) => status)).toEqual([200, 200]);
  expect(discord.view(discord.general).messages.filter(({ bot }) => bot)).toMatchObject([
    { text: "Too many questions are waiting. Please try again in a few minutes." },
  ]);
});
