import { expect, it } from "vitest";
import { startDiscord } from "../../sandbox/discord/start-discord.ts";
import { answerOf, calls, openBridge } from "./harness.ts";

// discord.js keeps five seconds between two IDENTIFYs, so these cannot be fast.

it("§11.3 an invalid session in the middle of an answer ends neither the answer nor the intake", async () => {
  await using discord = await startDiscord({ identifyGapMs: 5_000 });
  await using bridge = await openBridge(discord);
  const ada = discord.person("Ada");
  ada.say(discord.general, "@Coze hi");
  await expect.poll(() => bridge.turns).toHaveLength(1);
  const [turn] = bridge.turns;
  if (turn === undefined) return;
  const reply = await bridge.reply(turn);
  reply.show({ answer: answerOf("half") });
  discord.gateway.invalidate({ resumable: false });
  await reply.finish({ answer: answerOf("whole", true) });
  expect(discord.view(discord.general).messages.at(-1)?.text).toBe("whole");
  const ready = (): number => discord.traffic.exchanges.filter(({ name }) => name === "READY").length;
  await expect.poll(ready).toBe(2);
  ada.dm("again");
  await expect.poll(() => bridge.turns.map(({ text }) => text)).toEqual(["hi", "again"]);
});

it("§11.53 a server that closes with 1000 is identified to anew", async () => {
  await using discord = await startDiscord();
  await using bridge = await openBridge(discord);
  discord.gateway.close(1000);
  const identified = (): number => discord.traffic.exchanges.filter(({ name }) => name === "op 2").length;
  await expect.poll(identified).toBe(2);
  await expect.poll(() => bridge.adapter.health().ok).toBe(true);
});

it("a lost session that cannot be resumed is caught up with, a resumed one is not", async () => {
  await using discord = await startDiscord();
  await using bridge = await openBridge(discord);
  const texts = (): readonly string[] => bridge.turns.map(({ text }) => text);
  const listed = /^GET \/channels\/\d+\/messages$/;
  const ada = discord.person("Ada");
  ada.dm("before");
  await expect.poll(texts).toEqual(["before"]);
  discord.gateway.askToReconnect();
  await expect.poll(() => discord.traffic.exchanges.some(({ name }) => name === "RESUMED")).toBe(true);
  expect(calls(discord, listed)).toEqual([]);
  discord.gateway.loseNext();
  ada.dm("lost on the way");
  discord.gateway.close(1000);
  await expect.poll(texts).toEqual(["before", "lost on the way"]);
});
