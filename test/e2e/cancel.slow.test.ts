import { expect, it } from "vitest";
import { startBridge } from "../../sandbox/bridge-child.ts";
import { startServices } from "../../sandbox/services.ts";
import { makeTestFolder } from "../queue/embedded.ts";
import { startRedis } from "../redis-server.ts";

it("cancels a running and a waiting question that are deleted, from another process: first at Coze, then here", async () => {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis({ aof: false }));
  const services = stack.use(await startServices({ env: {}, speed: 2 }));
  const folder = stack.use(await makeTestFolder());
  for (const role of ["worker", "intake"] as const) {
    const child = await startBridge({
      role,
      env: {
        ...services.bridgeEnv,
        REDIS_URL: redis.url,
        SECRET_KEY: "0123456789abcdef0123456789abcdef",
        DATA_DIR: `${folder.path}/${role}`,
        PORT: "0",
        LOG_LEVEL: process.env["LOG_LEVEL"] ?? "silent",
        MERGE_BURST: "0",
      },
      trustedOrigins: services.fileOrigins,
      stderr: "inherit",
    });
    stack.use(child);
  }
  const { coze, discord } = services;
  const ada = discord.person("Ada");
  const running = ada.say(discord.general, "@Coze tell me a story");
  const fromBot = () => discord.view(discord.general).messages.filter(({ bot }) => bot);
  const poll = { timeout: 60_000, interval: 20 };
  await expect.poll(() => fromBot().length, poll).toBe(1);
  const waiting = ada.say(discord.general, "@Coze and then?");
  discord.removeMessage(waiting);
  discord.removeMessage(running);
  const [chat] = coze.chats;
  // Coze is told while its stream is still listened to.
  const listeners: number[] = [];
  stack.defer(
    coze.traffic.onExchange(({ name }) => {
      if (name === "POST /v3/chat/cancel") listeners.push(chat?.listeners ?? 0);
    }),
  );
  await expect.poll(() => chat?.status, poll).toBe("canceled");
  await expect.poll(() => fromBot()[0]?.text, poll).toContain("stopped");
  expect(listeners).toEqual([1]);
  await expect.poll(() => chat?.listeners, poll).toBe(0);
  // What waited was never asked.
  ada.say(discord.general, "@Coze hello");
  await expect.poll(() => coze.chats.length, poll).toBe(2);
});
