import { expect, it } from "vitest";
import { startBridge } from "../../sandbox/bridge-child.ts";
import { startServices } from "../../sandbox/services.ts";
import { EXIT } from "../../src/cli/exit-code.ts";
import { makeTestFolder } from "../queue/embedded.ts";
import { startRedis } from "../redis-server.ts";

it("§11.40 a process whose token is refused stops, and its questions wait for one that is taken", async () => {
  await using stack = new AsyncDisposableStack();
  const services = stack.use(await startServices({ env: {}, speed: 20 }));
  const folder = stack.use(await makeTestFolder());
  const { discord, coze } = services;
  const logged: string[] = [];
  const start = () =>
    startBridge({
      env: { ...services.bridgeEnv, DATA_DIR: folder.path, PORT: "0", LOG_LEVEL: "error" },
      trustedOrigins: services.fileOrigins,
      stderr: (text) => void logged.push(text),
    });
  const creates = (): number =>
    discord.traffic.exchanges.filter(({ name }) => /^POST \/channels\/\d+\/messages$/.test(name)).length;
  const fromBot = (): readonly string[] =>
    discord
      .view(discord.general)
      .messages.filter(({ bot }) => bot)
      .map(({ text }) => text);
  {
    await using child = await start();
    const body = { message: "401: Unauthorized", code: 0 };
    discord.faults.plan(/^POST \/channels\/\d+\/messages$/, { do: "answer", status: 401, body }, 10);
    discord.person("Ada").say(discord.general, "@Coze hello");
    expect(await child.exited).toBe(EXIT.config);
    expect(logged.join("")).toContain("PLATFORM_AUTH");
    // The library throws its token away at the first one: nothing goes out any more.
    expect(creates()).toBe(1);
  }
  discord.faults.clear();
  await using _again = await start();
  await expect.poll(() => fromBot().join(""), { timeout: 60_000, interval: 20 }).not.toBe("");
  expect(coze.chats).toHaveLength(1);
});

it("a worker whose token is refused takes no question", async () => {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis({ aof: false }));
  const services = stack.use(await startServices({ env: {}, speed: 20 }));
  const folder = stack.use(await makeTestFolder());
  const { discord, coze } = services;
  const logged: string[] = [];
  const start = (role: "intake" | "worker") =>
    startBridge({
      role,
      env: {
        ...services.bridgeEnv,
        REDIS_URL: redis.url,
        SECRET_KEY: "0123456789abcdef0123456789abcdef",
        DATA_DIR: `${folder.path}/${role}`,
        PORT: "0",
        LOG_LEVEL: "error",
      },
      trustedOrigins: services.fileOrigins,
      stderr: (text) => void logged.push(text),
    });
  stack.use(await start("intake"));
  discord.person("Ada").say(discord.general, "@Coze hello");
  discord.faults.plan("GET /users/@me", { do: "answer", status: 401, body: { message: "401", code: 0 } }, 1);
  await expect(start("worker")).rejects.toMatchObject({ exitCode: EXIT.config });
  expect(logged.join("")).toContain("Reset Token");
  expect(coze.chats).toEqual([]);
  stack.use(await start("worker"));
  await expect.poll(() => coze.chats.length, { timeout: 60_000, interval: 20 }).toBe(1);
});
