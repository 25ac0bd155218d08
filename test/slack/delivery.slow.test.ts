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
