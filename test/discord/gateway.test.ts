import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { answerOf, calls, openBridge } from "./harness.ts";

let discord: DiscordStandIn;

beforeEach(async () => {
  discord = await startDiscord();
});

afterEach(() => discord[Symbol.asyncDispose]());

function frames(name: string): number {
  return discord.traffic.exchanges.filter(
    (exchange) => exchange.kind === "received" && exchange.name === name,
  ).length;
}

it("logs in with the intents that need no permission, and says so in its health", async () => {
  await using bridge = await openBridge(discord);
  const identify = discord.traffic.exchanges.find(({ name }) => name === "op 2");
  expect(identify?.request).toMatchObject({ d: { intents: 4609 } });
  expect(bridge.adapter.health()).toEqual({ ok: true, detail: "connected" });
});

it("asks for the text of all messages only where that is switched on", async () => {
  await using open = await startDiscord({ messageContent: true });
  await using _bridge = await openBridge(open);
  const identify = open.traffic.exchanges.find(({ name }) => name === "op 2");
  expect(identify?.request).toMatchObject({ d: { intents: 37377 } });
});

it("§11.2 a message missed before a resume arrives, and the one before it has its old key", async () => {
  await using bridge = await openBridge(discord);
  const ada = discord.person("Ada");
  ada.dm("before");
  await expect.poll(() => bridge.turns).toHaveLength(1);
  discord.gateway.askToReconnect();
  await expect.poll(() => discord.gateway.connected).toBe(0);
  ada.dm("while away");
  await expect.poll(() => bridge.turns.map(({ text }) => text)).toContain("while away");
  const keys = new Set(bridge.turns.map(({ dedupeKey }) => dedupeKey));
  expect(keys.size).toBe(2);
  expect([frames("op 2"), frames("op 6")]).toEqual([1, 1]);
});

it("comes back after the connection was cut", async () => {
  await using bridge = await openBridge(discord);
  discord.gateway.drop();
  await expect.poll(() => bridge.adapter.health().detail).toBe("reconnecting");
  discord.person("Ada").dm("still there?");
  await expect.poll(() => bridge.turns).toHaveLength(1);
  expect(bridge.adapter.health().ok).toBe(true);
});

it("a running answer does not notice that the gateway is away", async () => {
  await using bridge = await openBridge(discord);
  discord.person("Ada").say(discord.general, "@Coze hi");
  await expect.poll(() => bridge.turns).toHaveLength(1);
  const [turn] = bridge.turns;
  if (turn === undefined) return;
  const reply = await bridge.reply(turn);
  discord.gateway.drop();
  await reply.finish({ answer: answerOf("whole", true) });
  expect(discord.view(discord.general).messages.at(-1)?.text).toBe("whole");
});

it("§11.51 resumes when its heartbeats are not acknowledged", async () => {
  await using quick = await startDiscord({ heartbeatMs: 60 });
  await using _bridge = await openBridge(quick);
  quick.gateway.acknowledges = false;
  const resumed = (): boolean => quick.traffic.exchanges.some(({ name }) => name === "op 6");
  await expect.poll(resumed).toBe(true);
  quick.gateway.acknowledges = true;
});

it("§11.52 a wrong token is told with what to click, after one call", async () => {
  const fatal: unknown[] = [];
  await expect(
    openBridge(discord, { token: "wrong", onFatal: (error) => void fatal.push(error) }),
  ).rejects.toMatchObject({
    code: "PLATFORM_AUTH",
    message: expect.stringContaining("Reset Token") as string,
  });
  expect(calls(discord, /./)).toHaveLength(1);
  expect(discord.gateway.connections).toBe(0);
  // Whoever opened it has the error already.
  expect(fatal).toEqual([]);
});

it.each([
  [4004, "no longer accepts the bot token"],
  [4014, "no longer allows the intents"],
])("§11.52 close code %i later on ends in words, without a storm", async (code, words) => {
  const fatal: unknown[] = [];
  await using bridge = await openBridge(discord, { onFatal: (error) => void fatal.push(error) });
  discord.gateway.close(code);
  await expect
    .poll(() => bridge.adapter.health())
    .toMatchObject({
      ok: false,
      detail: expect.stringContaining(words) as string,
    });
  expect(frames("op 2")).toBe(1);
  expect(fatal).toMatchObject([{ code: "PLATFORM_AUTH", platformCode: `${code}` }]);
  expect(bridge.log.filter(({ level }) => level === "error")).toHaveLength(1);
});

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

it("§11.54 does not log in when no login is left, says from when on it may, and does then", async () => {
  discord.gateway.logins.left = 0;
  const clock = new VirtualClock(0);
  await using bridge = await openBridge(discord, { clock });
  expect(bridge.adapter.health()).toEqual({
    ok: false,
    detail: expect.stringMatching(/1,000 times a day.*again at \d{4}-\d\d-\d\d \d\d:\d\d UTC$/) as string,
  });
  await expect.poll(() => clock.longestWaitMs).toBeGreaterThan(HOUR_MS);
  clock.advance(DAY_MS - 60_000);
  expect(discord.gateway.connections).toBe(0);
  discord.gateway.logins.left = 10;
  clock.advance(60_000);
  await expect.poll(() => bridge.adapter.health().detail).toBe("connected");
  expect(frames("op 2")).toBe(1);
  expect(bridge.log.filter(({ level }) => level === "warn")).toHaveLength(1);
});

it.each([
  ["the session is not resumable", () => discord.gateway.invalidate({ resumable: false })],
  ["Discord closes it", () => discord.gateway.close(1000)],
])("§11.54 begins no new session without a login left: %s", async (_, end) => {
  const clock = new VirtualClock(0);
  await using bridge = await openBridge(discord, { clock });
  discord.gateway.logins.left = 0;
  end();
  await expect.poll(() => bridge.adapter.health().detail).toContain("1,000 times a day");
  expect(frames("op 2")).toBe(1);
  discord.gateway.logins.left = 10;
  // The wait for new logins begins once the old client has been given up.
  await expect.poll(() => clock.longestWaitMs).toBeGreaterThan(HOUR_MS);
  clock.advance(DAY_MS);
  await expect.poll(() => bridge.adapter.health().detail).toBe("connected");
});

it("§11.56 says once that Discord is away, however often it is tried", async () => {
  await using bridge = await openBridge(discord);
  discord.gateway.refuseConnections(true);
  discord.gateway.drop();
  await expect.poll(() => discord.gateway.connections).toBeGreaterThan(3);
  const warnings = bridge.log.filter(({ level }) => level === "warn");
  expect(warnings.map(({ message }) => message)).toEqual(["discord gateway state"]);
  discord.gateway.refuseConnections(false);
});

it("§11.56 stops hammering after a minute, and is back once Discord is", async () => {
  const clock = new VirtualClock(0);
  await using bridge = await openBridge(discord, { clock });
  discord.gateway.refuseConnections(true);
  discord.gateway.drop();
  await expect.poll(() => bridge.adapter.health().detail).toBe("reconnecting");
  clock.advance(61_000);
  // The pause before the new client is the one timer there is: it exists once the old one has been given up.
  await expect.poll(() => clock.timers).toBe(1);
  discord.gateway.refuseConnections(false);
  const { connections } = discord.gateway;
  clock.advance(4_000);
  expect(discord.gateway.connections).toBe(connections);
  clock.advance(1_000);
  await expect.poll(() => bridge.adapter.health()).toEqual({ ok: true, detail: "connected" });
  discord.person("Ada").dm("back?");
  await expect.poll(() => bridge.turns).toHaveLength(1);
});

it("a client that was given up between two tries does not come back", async () => {
  discord.gateway.refuseConnections(true);
  await using bridge = await openBridge(discord, { intake: false });
  const controller = new AbortController();
  const opening = bridge.adapter.openIntake(() => Promise.resolve(), { signal: controller.signal });
  await expect.poll(() => discord.gateway.connections, { interval: 5 }).toBeGreaterThan(0);
  // Refused; the next try is half a second away.
  await sleep(100);
  controller.abort(new Error("stopped"));
  await expect(opening).rejects.toThrow("stopped");
  discord.gateway.refuseConnections(false);
  await sleep(700);
  expect(discord.gateway.connected).toBe(0);
});

it("a gateway that takes the connection and never greets does no harm when it is given up", async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket.resume()));
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const { port } = silent.address() as AddressInfo;
  const limit = { total: 1_000, remaining: 1_000, reset_after: 0, max_concurrency: 1 };
  const body = { url: `ws://127.0.0.1:${port}`, shards: 1, session_start_limit: limit };
  discord.faults.plan("GET /gateway/bot", { do: "answer", status: 200, body }, 2);
  await using bridge = await openBridge(discord, { intake: false });
  const controller = new AbortController();
  const opening = bridge.adapter.openIntake(() => Promise.resolve(), { signal: controller.signal });
  await expect.poll(() => sockets).toHaveLength(1);
  controller.abort(new Error("stopped"));
  await expect(opening).rejects.toThrow("stopped");
  // An error that nobody listens to would end this process.
  const closed = sockets.map((socket) => once(socket, "close"));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  await once(silent.close(), "close");
  await sleep(700);
  expect(sockets).toHaveLength(1);
});

it("an intake that nobody waits for any more gives up", async () => {
  discord.faults.plan("GET /gateway/bot", { do: "hang" });
  await using bridge = await openBridge(discord, { intake: false });
  const controller = new AbortController();
  const opening = bridge.adapter.openIntake(() => Promise.resolve(), { signal: controller.signal });
  await expect.poll(() => calls(discord, /gateway/)).toHaveLength(1);
  controller.abort(new Error("stopped"));
  await expect(opening).rejects.toThrow("stopped");
});

it("a closed intake receives nothing, and replies still go out", async () => {
  await using bridge = await openBridge(discord, { intake: false });
  const received: string[] = [];
  const intake = await bridge.adapter.openIntake((turn) => Promise.resolve(void received.push(turn.text)), {
    signal: AbortSignal.timeout(60_000),
  });
  discord.person("Ada").dm("one");
  await expect.poll(() => received).toEqual(["one"]);
  await intake[Symbol.asyncDispose]();
  await expect.poll(() => discord.gateway.connected).toBe(0);
  expect(bridge.adapter.health().ok).toBe(false);
});
