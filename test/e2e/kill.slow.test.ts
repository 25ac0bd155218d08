import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { botText } from "../../sandbox/stage.ts";
import { openBridge } from "./bridge-under-test.ts";

it("answers every accepted turn after kill -9, those that were running and those that waited", async () => {
  await using bridge = await openBridge({ speed: 4, env: { WORKER_CONCURRENCY: "2" } });
  const { discord, slack, services } = bridge;
  // Four people: what one of them typed at once would be answered at once.
  const places = ["Ada", "Grace", "Edsger", "Barbara"].flatMap((name, index) => {
    const text = `question number ${index} of many`;
    const onDiscord = services.discord.person(name);
    const onSlack = services.slack.person(name);
    onDiscord.say(services.discord.general, `@Coze ${text}`);
    onDiscord.dm(text);
    return [
      { stage: discord, place: services.discord.general, text },
      { stage: discord, place: onDiscord.dmChannel, text },
      { stage: slack, place: onSlack.say(services.slack.general, `@Coze ${text}`).channel, text },
      { stage: slack, place: onSlack.dm(text).channel, text },
    ];
  });
  // Some are being written, most wait: only two run at once.
  await expect.poll(() => services.coze.chats.length, { interval: 5 }).toBeGreaterThanOrEqual(2);
  const accepted = (): boolean =>
    services.slack.traffic.exchanges.filter(({ kind, name }) => kind === "received" && name.includes("ack"))
      .length >= 8;
  await expect.poll(accepted, { interval: 5 }).toBe(true);
  await bridge.killAndRestart();
  // While one answer grows in a channel, others go into threads there.
  const withThreads = (place: string): readonly string[] => {
    const channels = [...services.discord.world.channels.values()];
    return [place, ...channels.filter(({ parent_id: parent }) => parent === place).map(({ id }) => id)];
  };
  for (const { stage, place, text } of places) {
    const seen = (): string =>
      withThreads(place)
        .map((each) => botText(stage.standIn.view(each)))
        .join("\n");
    const whole = (): boolean => holdsText(seen(), expectedAnswer({ text }));
    await expect.poll(whole, { timeout: 100_000, interval: 50 }).toBe(true);
  }
  for (const { stage, place } of places) {
    expect(stage.standIn.view(place).messages.filter(({ unfinished }) => unfinished)).toEqual([]);
  }
  // What was asked was not asked again.
  expect(services.coze.chats).toHaveLength(places.length);
});

it("answers a burst of one person once, with all of it", async () => {
  await using bridge = await openBridge({ speed: 4 });
  const { discord, services } = bridge;
  discord.mention("tell me a story");
  await expect.poll(() => services.coze.chats.length, { interval: 5 }).toBe(1);
  const place = discord.mention("first half,");
  discord.mention("second half.");
  const text = "first half,\nsecond half.";
  const whole = (): boolean => holdsText(botText(discord.standIn.view(place)), expectedAnswer({ text }));
  await expect.poll(whole, { timeout: 60_000, interval: 50 }).toBe(true);
  expect(services.coze.chats).toHaveLength(2);
});

it("shows at a question that it waits, and leaves no trace of that", async () => {
  await using bridge = await openBridge({ speed: 2 });
  const { discord, services } = bridge;
  const place = discord.mention("tell me a story");
  await expect.poll(() => services.coze.chats.length, { interval: 5 }).toBe(1);
  discord.mention("and then?");
  const signs = (): string[] =>
    services.discord.traffic.exchanges.map(({ name }) => name).filter((name) => name.includes("/reactions/"));
  await expect.poll(() => signs().length, { timeout: 30_000 }).toBe(1);
  expect(signs()[0]).toMatch(/^PUT /);
  await expect.poll(() => signs().length, { timeout: 60_000 }).toBe(2);
  expect(signs()[1]).toMatch(/^DELETE /);
  const whole = (): boolean =>
    holdsText(botText(discord.standIn.view(place)), expectedAnswer({ text: "and then?" }));
  await expect.poll(whole, { timeout: 60_000 }).toBe(true);
});
