import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { discordViolations } from "./discord-spec.ts";

let discord: DiscordStandIn;

beforeEach(async () => {
  discord = await startDiscord({ clock: new VirtualClock(Date.UTC(2026, 0, 2)) });
});

afterEach(async () => {
  // Discord's description of a form's error is not that of the errors it sends.
  const done = discord.traffic.exchanges.filter(({ status = 0 }) => status < 400);
  await discord[Symbol.asyncDispose]();
  expect(discordViolations(done)).toEqual([]);
});

interface Answer {
  readonly status: number;
  readonly body: { readonly [key: string]: unknown };
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${discord.apiUrl}/v10${path}`, {
    method,
    headers: {
      authorization: `Bot ${discord.token}`,
      "user-agent": "DiscordBot (https://example.org, 1.0)",
      "content-type": "application/json",
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Answer["body"]) };
}

const ask = (): string => discord.person("Ada").say(discord.general, "@Coze hi");
const start = (message: string, body: object = { name: "hi" }): Promise<Answer> =>
  call("POST", `/channels/${discord.general}/messages/${message}/threads`, body);
const refusal = ({ status, body }: Answer): unknown[] => [status, body["code"]];

/** What a session hears from now on: names of events with their data. */
async function listen(): Promise<{ t: string; d: Record<string, unknown> }[]> {
  const socket = new WebSocket(`${discord.apiUrl.replace("http", "ws").replace("/api", "/gateway")}?v=10`);
  const heard: { t: string; d: Record<string, unknown> }[] = [];
  socket.on("message", (data: Buffer) => heard.push(JSON.parse(data.toString("utf8")) as (typeof heard)[0]));
  await expect.poll(() => heard).toHaveLength(1);
  const d = { token: discord.token, intents: 4609, properties: { os: "", browser: "", device: "" } };
  socket.send(JSON.stringify({ op: 2, d }));
  await expect.poll(() => heard.at(-1)?.t).toBe("GUILD_CREATE");
  heard.length = 0;
  return heard;
}

describe("a thread under a message", () => {
  it("has the message's id, its channel as parent, and is told to the gateway", async () => {
    const heard = await listen();
    const question = ask();
    const { status, body } = await start(question, { name: "hi", auto_archive_duration: 60 });
    expect([status, body["id"], body["parent_id"], body["type"]]).toEqual([
      201,
      question,
      discord.general,
      11,
    ]);
    expect(body["thread_metadata"]).toMatchObject({ archived: false, auto_archive_duration: 60 });
    await expect
      .poll(() => heard.map(({ t }) => t))
      .toEqual(["MESSAGE_CREATE", "THREAD_CREATE", "MESSAGE_UPDATE", "MESSAGE_CREATE"]);
    const [, created, updated, starter] = heard;
    expect(created?.d).toMatchObject({ id: question, newly_created: true, message_count: 0 });
    expect(updated?.d).toMatchObject({
      id: question,
      flags: 32,
      edited_timestamp: null,
      thread: { id: question },
    });
    expect(starter?.d).toMatchObject({ type: 21, channel_id: question, content: "" });
    expect(starter?.d["referenced_message"]).toMatchObject({ id: question });
    expect(starter?.d["message_reference"]).toMatchObject({
      channel_id: discord.general,
      message_id: question,
    });
  });

  it("shows people the message it began with, and counts what is written in it", async () => {
    const question = ask();
    await start(question);
    await call("POST", `/channels/${question}/messages`, { content: "hello" });
    expect(discord.view(question).messages.map(({ author, text }) => [author, text])).toEqual([
      ["Ada", "@Coze hi"],
      ["Coze", "hello"],
    ]);
    expect((await call("GET", `/channels/${question}`)).body).toMatchObject({ message_count: 1 });
  });

  it("has limits of its own", async () => {
    const question = ask();
    await start(question);
    const write = async (channel: string): Promise<number> =>
      (await call("POST", `/channels/${channel}/messages`, { content: "a" })).status;
    for (let count = 0; count < 5; count += 1) expect(await write(discord.general)).toBe(200);
    expect(await write(discord.general)).toBe(429);
    expect(await write(question)).toBe(200);
  });

  it("exists once (160004)", async () => {
    const question = ask();
    await start(question);
    expect(refusal(await start(question))).toEqual([400, 160004]);
  });

  it.each([
    ["without a name", {}, 50035],
    ["with a name of 101 characters", { name: "x".repeat(101) }, 50035],
    ["that shall be archived at a time of one's own", { name: "x", auto_archive_duration: 61 }, 50035],
  ])("is refused %s", async (_why, body, code) => {
    const question = ask();
    const answer = await call("POST", `/channels/${discord.general}/messages/${question}/threads`, body);
    expect(refusal(answer)).toEqual([400, code]);
  });

  it("is refused under nothing, under a system message, in DMs, in threads and without the right", async () => {
    expect(refusal(await start("10000000000000001"))).toEqual([404, 10008]);
    const pin = discord.person("Ada").say(discord.general, "", { extras: { type: 6 } });
    expect(refusal(await start(pin))).toEqual([400, 50021]);
    const ada = discord.person("Ada");
    const dm = ada.dm("hi");
    const inDm = await call("POST", `/channels/${ada.dmChannel}/messages/${dm}/threads`, { name: "x" });
    expect(refusal(inDm)).toEqual([400, 50024]);
    const question = ask();
    await start(question);
    const inside = ada.say(question, "more");
    const nested = await call("POST", `/channels/${question}/messages/${inside}/threads`, { name: "x" });
    expect(refusal(nested)).toEqual([400, 50024]);
    discord.deny(discord.general, "createThreads");
    expect(refusal(await start(ask()))).toEqual([403, 50013]);
  });
});

describe("a thread without a message", () => {
  it("is private unless it says otherwise, each with its right", async () => {
    const open = (body: object): Promise<Answer> =>
      call("POST", `/channels/${discord.general}/threads`, body);
    expect((await open({ name: "a" })).body["type"]).toBe(12);
    expect((await open({ name: "a", type: 11 })).body["type"]).toBe(11);
    discord.deny(discord.general, "createPrivateThreads");
    expect(refusal(await open({ name: "a" }))).toEqual([403, 50013]);
    expect((await open({ name: "a", type: 11 })).status).toBe(201);
    expect(refusal(await open({ name: "a", type: 10 }))).toEqual([400, 50035]);
  });
});

describe("an archived thread", () => {
  const messageIn = async (thread: string): Promise<string> =>
    String((await call("POST", `/channels/${thread}/messages`, { content: "a" })).body["id"]);

  it("opens by what is written in it, and changes nothing before", async () => {
    const question = ask();
    await start(question);
    const message = await messageIn(question);
    const edit = (): Promise<Answer> =>
      call("PATCH", `/channels/${question}/messages/${message}`, { content: "b" });
    const heard = await listen();
    discord.archiveThread(question);
    expect(refusal(await edit())).toEqual([400, 50083]);
    const react = await call("PUT", `/channels/${question}/messages/${message}/reactions/👍/@me`);
    expect(refusal(react)).toEqual([400, 50083]);
    await messageIn(question);
    expect((await edit()).status).toBe(200);
    discord.archiveThread(question);
    discord.person("Ada").say(question, "and I");
    expect((await edit()).status).toBe(200);
    await expect.poll(() => heard.at(-1)?.t).toBe("MESSAGE_UPDATE");
    const states = heard
      .filter(({ t }) => t === "THREAD_UPDATE")
      .map(({ d }) => (d["thread_metadata"] as { archived: boolean }).archived);
    expect(states).toEqual([true, false, true, false]);
  });

  it("is opened by whoever may write in it", async () => {
    const question = ask();
    await start(question);
    discord.archiveThread(question);
    const open = (): Promise<Answer> => call("PATCH", `/channels/${question}`, { archived: false });
    expect((await open()).body["thread_metadata"]).toMatchObject({ archived: false });
    expect(refusal(await call("PATCH", `/channels/${question}`, { archived: true }))).toEqual([403, 50013]);
    expect(refusal(await call("PATCH", `/channels/${discord.general}`, { archived: false }))).toEqual([
      403, 50013,
    ]);
    discord.archiveThread(question, { locked: true });
    expect(refusal(await open())).toEqual([403, 160005]);
  });

  it("stays closed to the bot while it is locked", async () => {
    const question = ask();
    await start(question);
    const message = await messageIn(question);
    discord.archiveThread(question, { locked: true });
    const written = await call("POST", `/channels/${question}/messages`, { content: "a" });
    expect(refusal(written)).toEqual([403, 160005]);
    const edited = await call("PATCH", `/channels/${question}/messages/${message}`, { content: "b" });
    expect(refusal(edited)).toEqual([400, 50083]);
  });

  it("is not among those that a login tells", async () => {
    const question = ask();
    await start(question);
    discord.archiveThread(question);
    const told = (): unknown[] =>
      discord.traffic.exchanges
        .filter(({ name }) => name === "GUILD_CREATE")
        .map(({ request }) => (request as { d: { threads: object[] } }).d.threads.length);
    await listen();
    discord.person("Ada").say(question, "open again");
    await listen();
    expect(told()).toEqual([0, 1]);
  });
});
