import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startDiscord } from "../../sandbox/discord/start-discord.ts";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisBuckets } from "../../src/store/redis-buckets.ts";
import { makeTestLog } from "../queue/embedded.ts";
import { startRedis } from "../redis-server.ts";
import { answerOf, calls, openBridge } from "./harness.ts";

const PREFIX = "two-workers";
/** By real time, as Discord's is: as long as the burst is spent and some seconds more. */
const GROWS_MS = 8_000;

it("§11.25 answers of two workers in one channel share its limit, and none is refused", async () => {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const discord = stack.use(await startDiscord());
  const open = async (intake: boolean): Promise<Awaited<ReturnType<typeof openBridge>>> => {
    const log = makeTestLog();
    const client = connectRedis(redis.url, { log, name: "limits", prefix: PREFIX });
    stack.defer(() => client.disconnect());
    await once(client, "ready");
    const buckets = createRedisBuckets({ redis: client, prefix: PREFIX, log });
    return stack.use(await openBridge(discord, { buckets, intake, secondAnswer: "channel" }));
  };
  const workers = [await open(true), await open(false)] as const;
  for (let index = 0; index < 4; index += 1)
    discord.person(`Asker ${index}`).say(discord.general, "@Coze hi");
  await expect.poll(() => workers[0].turns).toHaveLength(4);
  const replies = await Promise.all(
    workers[0].turns.map((turn, index) => workers[index % 2 === 0 ? 0 : 1].reply(turn)),
  );
  let text = "";
  for (const end = performance.now() + GROWS_MS; performance.now() < end; await sleep(30)) {
    text += "word ";
    for (const reply of replies) reply.show({ answer: answerOf(text) });
  }
  await Promise.all(replies.map((reply) => reply.finish({ answer: answerOf(`${text}end`, true) })));
  const written = calls(discord, /^(POST|PATCH) \/channels\/\d+\/messages/);
  expect(written.filter(({ status }) => status === 429)).toEqual([]);
  // Five at once, one a second, four creates; half of the edits each.
  const edits = Map.groupBy(
    written.filter(({ name }) => name.startsWith("PATCH")),
    ({ name }) => name,
  );
  expect(edits.size).toBe(4);
  const counts = [...edits.values()].map(({ length }) => length);
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
  expect(Math.max(...counts)).toBeLessThanOrEqual(6);
  const shown = discord.view(discord.general).messages.filter(({ bot }) => bot);
  expect(shown.map(({ text: whole }) => whole.endsWith("word end"))).toEqual([true, true, true, true]);
});
