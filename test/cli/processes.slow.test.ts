import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type BridgeChild, startBridge } from "../../sandbox/bridge-child.ts";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { type Services, startServices } from "../../sandbox/services.ts";
import { botText, discordStage, type Stage, slackStage } from "../../sandbox/stage.ts";
import { expectAnswer } from "../e2e/bridge-under-test.ts";
import { makeTestFolder } from "../queue/embedded.ts";
import { startRedis } from "../redis-server.ts";

const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");
const KEY = "a key for these tests, long enough for it";

/** Starts `coze-bridge` as an operator does, in a folder without a `.env`. */
function begin(folder: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { LOG_LEVEL: "silent", PORT: "0", DATA_DIR: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (said.out += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said.err += text));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...said }));
  return { child, said, ended };
}

/** Runs it to its end. */
function run(folder: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return begin(folder, args, env).ended;
}

function bridge(
  services: Services,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
  role: "all" | "intake" | "worker" = "all",
): Promise<BridgeChild> {
  return startBridge({
    env: { ...services.bridgeEnv, DATA_DIR: dataDir, PORT: "0", LOG_LEVEL: "silent", ...env },
    trustedOrigins: services.fileOrigins,
    stderr: "inherit",
    role,
  });
}

/** Each level that the lines of a log have. */
function levelsIn(log: string): readonly string[] {
  const lines = log.trim().split("\n");
  return [...new Set(lines.map((line) => (JSON.parse(line) as { level: string }).level))];
}

const STORY_PLEASE = "tell me a story";

/** Until the first words of an answer are there. */
async function expectBeginning(stage: Stage, place: string): Promise<void> {
  const length = (): number => botText(stage.standIn.view(place)).length;
  await expect.poll(length, { interval: 5 }).toBeGreaterThan(20);
}

/** What the bridge says of its connection to Discord. */
async function discordState({ port }: BridgeChild): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  const { parts } = (await response.json()) as { parts: { discord?: unknown } };
  return parts.discord;
}

it("ends with the exit code of what happened", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  const env = services.bridgeEnv;
  expect(await run(folder.path, ["begin"])).toMatchObject({ code: 64 });
  expect((await run(folder.path, ["start"])).err).toContain("COZE_API_TOKEN is missing");
  expect(await run(folder.path, ["start"])).toMatchObject({ code: 78 });
  const refused = await run(folder.path, ["start"], { ...env, DISCORD_BOT_TOKEN: "wrong" });
  expect(refused.code).toBe(78);
  expect(await run(folder.path, ["start", "--role", "intake"], env)).toMatchObject({ code: 78 });
  const away = { ...env, REDIS_URL: "redis://127.0.0.1:1", SECRET_KEY: KEY };
  const alone = await run(folder.path, ["start"], away);
  expect(alone).toMatchObject({ code: 75 });
  expect(alone.err).toContain("Redis at 127.0.0.1:1");
});

it("tells a second bridge on the same folder to try later, lets commands in, and stops when told", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  await using first = await bridge(services, folder.path);
  const [second, listed, exported] = await Promise.all([
    run(folder.path, ["start"], services.bridgeEnv),
    run(folder.path, ["dead", "list"]),
    run(folder.path, ["export"]),
  ]);
  expect(second).toMatchObject({ code: 75 });
  expect(second.err).toContain(`process ${first.pid}`);
  expect(listed).toMatchObject({ code: 0, out: "", err: "No dead letters.\n" });
  expect(exported).toMatchObject({ code: 75, out: "" });
  first.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  expect(await run(folder.path, ["dead", "list"])).toMatchObject({ code: 0 });
});

it("stops as it was told while it waits for the folder of another one, too", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  await using _first = await bridge(services, folder.path);
  const { child, said, ended } = begin(folder.path, ["start"], { ...services.bridgeEnv, LOG_LEVEL: "info" });
  await expect.poll(() => said.err, { timeout: 30_000 }).toContain("another process has the data folder");
  child.kill("SIGTERM");
  const { code, err } = await ended;
  expect([code, levelsIn(err)]).toEqual([0, ["info"]]);
});

it("says nothing to worry about when it is told to stop", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  const { child, said, ended } = begin(folder.path, ["start"], { ...services.bridgeEnv, LOG_LEVEL: "info" });
  await expect.poll(() => said.err, { timeout: 30_000 }).toContain("bridge is ready");
  await expect.poll(() => said.err).toContain("Coze knows the bot");
  child.kill("SIGTERM");
  const { code, err } = await ended;
  expect([code, levelsIn(err)]).toEqual([0, ["info"]]);
});

it("finishes what runs before it stops, and takes nothing new", async () => {
  await using services = await startServices({ env: {}, speed: 4 });
  await using folder = await makeTestFolder();
  await using running = await bridge(services, folder.path);
  const discord = discordStage(services);
  const place = discord.dm(STORY_PLEASE);
  await expectBeginning(discord, place);
  running.kill("SIGTERM");
  expect(await running.exited).toBe(0);
  await expectAnswer(discord, place, expectedAnswer({ text: STORY_PLEASE }), 1);
});

it.each([
  ["SHUTDOWN_GRACE is over", "100ms"],
  ["it is told again", undefined],
])("leaves what runs to the next start when %s", async (_why, grace) => {
  await using services = await startServices({ env: {}, speed: 4 });
  await using folder = await makeTestFolder();
  await using running = await bridge(
    services,
    folder.path,
    grace === undefined ? {} : { SHUTDOWN_GRACE: grace },
  );
  const discord = discordStage(services);
  const place = discord.dm(STORY_PLEASE);
  await expectBeginning(discord, place);
  running.kill("SIGTERM");
  if (grace === undefined) {
    // Two signals at once are one for the kernel: the first has been taken once nothing new is.
    await expect.poll(() => discordState(running)).toBe("closed");
    running.kill("SIGTERM");
  }
  expect(await running.exited).toBe(0);
  expect(holdsText(botText(discord.standIn.view(place)), expectedAnswer({ text: STORY_PLEASE }))).toBe(false);
  await using _next = await bridge(services, folder.path);
  await expectAnswer(discord, place, expectedAnswer({ text: STORY_PLEASE }), 90_000);
});

it("ends when told, also while its platforms are gone and an answer is half written", async () => {
  const services = await startServices({ env: {}, speed: 4 });
  await using folder = await makeTestFolder();
  await using running = await bridge(services, folder.path, { SHUTDOWN_GRACE: "1s" });
  const discord = discordStage(services);
  await expectBeginning(discord, discord.dm(STORY_PLEASE));
  await services[Symbol.asyncDispose]();
  await expect.poll(() => discordState(running)).toBe("reconnecting");
  running.kill("SIGTERM");
  expect(await running.exited).toBe(0);
});

it("answers with intake and workers in processes of their own, sharing Redis", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using redis = await startRedis();
  await using folder = await makeTestFolder();
  const env = { REDIS_URL: redis.url, SECRET_KEY: KEY };
  const at = (name: string): string => join(folder.path, name);
  await using _intake = await bridge(services, at("intake"), env, "intake");
  const [discord, slack] = [discordStage(services), slackStage(services)];
  const text = "hello over there";
  const places = [
    { stage: discord, place: discord.mention(text) },
    { stage: slack, place: slack.mention(text) },
    { stage: discord, place: discord.command(text) },
  ] as const;
  // Nobody answers yet; what was asked waits in Redis.
  const depth = async (): Promise<number> => {
    const { out } = await run(folder.path, ["export"], env);
    return out.split('"kind":"turn"').length - 1;
  };
  await expect.poll(depth, { timeout: 30_000 }).toBe(3);
  await using one = await bridge(services, at("one"), env, "worker");
  await using _two = await bridge(services, at("two"), env, "worker");
  const health = await fetch(`http://127.0.0.1:${one.port}/healthz`);
  expect([health.status, Object.keys(((await health.json()) as { parts: object }).parts)]).toEqual([
    200,
    ["queue"],
  ]);
  expect((await fetch(`http://127.0.0.1:${one.port}/slack/events`, { method: "POST" })).status).toBe(404);
  for (const { stage, place } of places.slice(1)) await expectAnswer(stage, place, expectedAnswer({ text }));
  await expectAnswer(discord, discord.dm("and now?"), expectedAnswer({ text: "and now?" }));
});

it("of two bridges on one Redis one is connected to Discord; the other takes over when it is killed", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using redis = await startRedis();
  await using folder = await makeTestFolder();
  const env = { REDIS_URL: redis.url, SECRET_KEY: KEY };
  await using holder = await bridge(services, join(folder.path, "holder"), env);
  await using standby = await bridge(services, join(folder.path, "standby"), env);
  const health = async (): Promise<string | undefined> => {
    const response = await fetch(`http://127.0.0.1:${standby.port}/healthz`);
    const { parts } = (await response.json()) as { parts: Readonly<Record<string, string>> };
    return `${response.status} ${parts["discord"]}`;
  };
  expect(await health()).toBe("200 standing by: another process is connected");
  const [discord, slack] = [discordStage(services), slackStage(services)];
  const dm = discord.dm("before");
  await expectAnswer(discord, dm, expectedAnswer({ text: "before" }));
  holder.kill("SIGKILL");
  await holder.exited;
  const place = discord.dm("meanwhile");
  await expectAnswer(slack, slack.mention("still there?"), expectedAnswer({ text: "still there?" }));
  await expectAnswer(discord, place, expectedAnswer({ text: "meanwhile" }));
  expect(await health()).toBe("200 connected");
  await expectAnswer(discord, discord.dm("after"), expectedAnswer({ text: "after" }));
  expect(services.coze.chats).toHaveLength(4);
  expect(services.discord.gateway.mostConnected).toBe(1);
});
