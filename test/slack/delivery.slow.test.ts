import { expect, it } from "vitest";
import { answer, callsOf, openBridge, SOON } from "./bridge.ts";

it.each([
  ["dm", "chat.appendStream", 1_500],
  ["channel", "chat.update", 3_500],
] as const)(
  "stays under Slack's limits, without long gaps, while an answer grows: %s",
  async (where, method, longestGapMs) => {
    await using bridge = await openBridge();
    const { slack } = bridge;
    const ada = slack.person("Ada");
    if (where === "dm") ada.dm("question?");
    else ada.say(slack.general, "@Coze question?");
    await expect.poll(() => bridge.turns.length, SOON).toBe(1);
    const { reply } = await bridge.reply();
    let text = "";
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const timer = setInterval(() => {
      text += "word ";
      reply.show({ answer: answer(text) });
      if (callsOf(slack, method).length >= 12) finish();
    }, 20);
    await done;
    clearInterval(timer);
    await reply.finish({ answer: answer(`${text}end.`) });
    expect(slack.traffic.exchanges.filter(({ status }) => status === 429)).toEqual([]);
    const writes = slack.traffic.exchanges.filter(({ name }) => /postMessage|update|Stream/.test(name));
    const gaps = writes.slice(1).map(({ at }, index) => at - (writes[index]?.at ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(longestGapMs);
  },
);

it("slows down after one refusal where a burst of appends is smaller than assumed", async () => {
  await using bridge = await openBridge({ slack: { switches: { smallAppendBurst: true } } });
  const { slack } = bridge;
  const { channel } = slack.person("Ada").dm("question?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply } = await bridge.reply();
  let text = "";
  const statuses = (): readonly (number | undefined)[] =>
    slack.traffic.exchanges.filter(({ name }) => name.endsWith("appendStream")).map(({ status }) => status);
  const timer = setInterval(() => {
    text += "word ";
    reply.show({ answer: answer(text) });
  }, 20);
  // The burst ends in a refusal after some thirty; what comes then is one every 0.6 s.
  await expect.poll(() => statuses().length, { timeout: 60_000 }).toBeGreaterThan(45);
  clearInterval(timer);
  await reply.finish({ answer: answer(`${text}end.`) });
  expect(statuses().filter((status) => status === 429)).toHaveLength(1);
  expect(slack.view(channel).messages.at(-1)?.text).toBe(`${text}end.`);
});
