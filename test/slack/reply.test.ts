import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { answer, callsOf, openBridge, SOON } from "./bridge.ts";

it("answers a mention in its thread, with a message that grows by edits", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const said = slack.person("Ada").say(slack.general, "@Coze what is a bridge?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(bridge.turns[0]).toMatchObject({ text: "what is a bridge?" });
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("A bridge") });
  await expect.poll(() => slack.view(slack.general).messages.length, SOON).toBe(2);
  reply.show({ answer: answer("A bridge is **a way**") });
  const finished = await reply.finish({ answer: answer("A bridge is **a way** over.") });
  const [, shown] = slack.view(slack.general).messages;
  expect(shown).toMatchObject({ text: "A bridge is **a way** over.", parent: said.ts, bot: true });
  expect(finished.messageKeys).toEqual([
    `slack:${slack.general}:${said.ts}`,
    `slack:${slack.general}:${shown?.id}`,
  ]);
  expect(callsOf(slack, "chat.postMessage")).toHaveLength(1);
});

it("streams natively in the app's DM, under the question", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const said = ada.dm("tell me a story");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once") });
  await expect.poll(() => slack.view(said.channel).messages.at(-1)?.unfinished, SOON).toBe(true);
  reply.show({ answer: answer("Once upon") });
  await reply.finish({ answer: answer("Once upon a time.") });
  const shown = slack.view(said.channel).messages.at(-1);
  expect(shown).toMatchObject({ text: "Once upon a time.", parent: said.ts, unfinished: false });
  expect(callsOf(slack, "chat.update")).toHaveLength(0);
  expect(callsOf(slack, "chat.startStream")[0]).toMatchObject({
    recipient_user_id: ada.id,
    recipient_team_id: slack.workspace.team,
  });
});

it("paces a native stream from call to call: the way there and back is part of the gap", async () => {
  const timers: number[] = [];
  await using bridge = await openBridge({
    slack: { oneWayMs: 60 },
    onTimer: (ms) => void timers.push(ms),
  });
  const { slack } = bridge;
  slack.person("Ada").dm("tell me a story");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once") });
  await expect.poll(() => callsOf(slack, "chat.startStream").length, SOON).toBe(1);
  timers.length = 0;
  for (let text = "Once"; callsOf(slack, "chat.appendStream").length < 3; await setTimeout(5)) {
    text += " more";
    reply.show({ answer: answer(text) });
  }
  const waits = [...timers];
  await reply.finish({ answer: answer("Once.") });
  // 200 ms from call to call (pacing.md §4.4), of which 120 pass until the answer is there. A pause in the text, which a busy
  // machine makes, may be waited for a little longer than the rest of them.
  expect(waits.filter((ms) => ms > 150 && ms <= 200)).toEqual([]);
  expect(waits.length).toBeGreaterThan(0);
});
