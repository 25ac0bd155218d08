import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { botText } from "../../sandbox/stage.ts";
import { openBridge } from "./bridge-under-test.ts";

it("answers every accepted turn after kill -9, those that were running and those that waited", async () => {
  await using bridge = await openBridge({ speed: 4, env: { WORKER_CONCURRENCY: "2" } });
  const { discord, slack, services } = bridge;
  const questions = Array.from({ length: 4 }, (_, index) => `question number ${index} of many`);
  const places = questions.flatMap((text) => [
    { stage: discord, place: discord.mention(text), text },
    { stage: slack, place: slack.mention(text), text },
    { stage: discord, place: discord.dm(text), text },
    { stage: slack, place: slack.dm(text), text },
  ]);
  // Some are being written, most wait: only two run at once.
  await expect
    .poll(() => services.coze.chats.length, { interval: 5, timeout: 20_000 })
    .toBeGreaterThanOrEqual(2);
  const accepted = (): boolean =>
    services.slack.traffic.exchanges.filter(({ kind, name }) => kind === "received" && name.includes("ack"))
      .length >= 8;
  await expect.poll(accepted, { interval: 5, timeout: 20_000 }).toBe(true);
  await bridge.killAndRestart();
  for (const { stage, place, text } of places) {
    const whole = (): boolean => holdsText(botText(stage.standIn.view(place)), expectedAnswer({ text }));
    await expect.poll(whole, { timeout: 100_000, interval: 50 }).toBe(true);
  }
  for (const { stage, place } of places) {
    expect(stage.standIn.view(place).messages.filter(({ unfinished }) => unfinished)).toEqual([]);
  }
  // What was asked was not asked again.
  expect(services.coze.chats).toHaveLength(places.length);
});
