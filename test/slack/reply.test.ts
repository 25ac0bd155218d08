import { expect, it } from "vitest";
import { answer, callsOf, openBridge, SOON } from "./bridge.ts";

it("answers a mention in its thread, with a message that grows by edits", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const said = slack.person("Ada").say(slack.general, "@Coze what is a bridge?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(bridge.turns[0]).toMatchObject({ text: "what is a bridge?", asker: { name: "Ada" } });
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
