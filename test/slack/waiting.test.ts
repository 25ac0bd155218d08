import { expect, it, vi } from "vitest";
import { BridgeError } from "../../src/core/errors.ts";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON, toTurn } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

async function asked(
  options: BridgeOptions = {},
): Promise<SlackBridge & { place: string; question: string }> {
  const bridge = await openBridge({ ...options, slack: { echo: false, ...options.slack } });
  const said = bridge.slack.person("Ada").dm("question?");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  return Object.assign(bridge, { place: said.channel, question: said.ts });
}

function reactions({ slack }: SlackBridge, place: string, ts: string): readonly string[] {
  return [...(slack.workspace.channels.get(place)?.messages.get(ts)?.reactions ?? [])];
}

it.concurrent("shows at the question that it waits, and leaves no trace of it", async ({ expect: see }) => {
  await using bridge = await asked();
  const { adapter, place, question, signal } = bridge;
  const turn = toTurn(bridge.turns[0]);
  await adapter.showWaiting(turn, true, { signal });
  await adapter.showWaiting(turn, true, { signal });
  see(reactions(bridge, place, question)).toEqual(["hourglass_flowing_sand"]);
  await adapter.showWaiting(turn, false, { signal });
  await adapter.showWaiting(turn, false, { signal });
  see(reactions(bridge, place, question)).toEqual([]);
  see(slackViolations(bridge.slack.traffic.exchanges)).toEqual([]);
});

it.concurrent("§14.61 shows it by the status line where the app may not react", async ({ expect: see }) => {
  await using bridge = await asked();
  const { slack, adapter, place, signal } = bridge;
  slack.scopes.delete("reactions:write");
  const turn = toTurn(bridge.turns[0]);
  await adapter.showWaiting(turn, true, { signal });
  see(slack.view(place).status).toBe("will answer soon…");
  await adapter.showWaiting(turn, false, { signal });
  await adapter.showWaiting(turn, true, { signal });
  see(callsOf(slack, "reactions.add")).toHaveLength(1);
  see(callsOf(slack, "reactions.remove")).toHaveLength(0);
});

it.concurrent("takes the sign away though Slack says no at first", async ({ expect: see }) => {
  await using bridge = await asked();
  const { slack, adapter, place, question, signal } = bridge;
  const turn = toTurn(bridge.turns[0]);
  await adapter.showWaiting(turn, true, { signal });
  slack.faults.plan("POST /api/reactions.remove", {
    do: "answer",
    status: 429,
    headers: { "retry-after": "1" },
  });
  await adapter.showWaiting(turn, false, { signal });
  see(reactions(bridge, place, question)).toEqual([]);
});

it.concurrent("never fails for a sign: not for a command, a deleted question or a Slack that is down", async ({
  expect: see,
}) => {
  await using bridge = await openBridge({ slack: { echo: false } });
  const { slack, adapter, signal } = bridge;
  const ada = slack.person("Ada");
  ada.slash(slack.general, "hello");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  await adapter.showWaiting(toTurn(bridge.turns[0]), true, { signal });
  const { channel, ts } = ada.dm("question?");
  await vi.waitUntil(() => bridge.turns.length === 2, SOON);
  ada.unsay(channel, ts);
  await adapter.showWaiting(toTurn(bridge.turns[1]), true, { signal });
  slack.faults.plan(/reactions/, { do: "answer", status: 500, body: "<html>" }, 9);
  await adapter.showWaiting(toTurn(bridge.turns[1]), true, { signal });
  see(callsOf(slack, "assistant.threads.setStatus")).toEqual([]);
});

/** A bridge whose queue takes nothing. */
function openFull(): ReturnType<typeof openBridge> {
  return openBridge({
    slack: { echo: false },
    onTurn: () => Promise.reject(new BridgeError("QUEUE_FULL", "full", { retryable: true })),
  });
}

it.concurrent("acknowledges what the full queue does not take, and says so once a minute", async ({
  expect: see,
}) => {
  await using bridge = await openFull();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const said = Array.from({ length: 5 }, (_, number) => ada.dm(`question ${number}`));
  await Promise.all(said.flatMap(({ deliveries }) => deliveries).map(({ done }) => done));
  see(said.flatMap(({ deliveries }) => deliveries).map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1]);
  const told = (): readonly string[] =>
    slack
      .view(said[0]?.channel ?? "")
      .messages.filter(({ bot }) => bot)
      .map(({ text }) => text);
  await see.poll(told, SOON).toEqual([see.stringContaining("Too many questions")]);
});

it.concurrent("does not acknowledge what could not be stored, so that it comes again", async ({
  expect: see,
}) => {
  let down = true;
  await using bridge = await openBridge({
    slack: { echo: false },
    onTurn: () => {
      const error = new BridgeError("QUEUE_UNAVAILABLE", "away", { retryable: true });
      const result = down ? Promise.reject(error) : Promise.resolve();
      down = false;
      return result;
    },
    mode: "socket",
  });
  const { slack } = bridge;
  const { channel } = slack.person("Ada").dm("question?");
  await see.poll(() => bridge.turns.length, SOON).toBe(1);
  see(slack.view(channel).messages.filter(({ bot }) => bot)).toEqual([]);
});

it.concurrent("§14.36 tells when the asker pressed stop, whatever comes first", async ({ expect: see }) => {
  await using bridge = await asked();
  const { slack, place, turns, gone } = bridge;
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once upon") });
  await vi.waitUntil(() => slack.view(place).messages.length === 2, SOON);
  slack.stopStreams(place);
  await see.poll(() => gone, SOON).toEqual([turns[0]?.dedupeKey]);
  reply.show({ answer: answer("Once upon a time") });
  await see.poll(() => gone.length, SOON).toBe(2);
  see(new Set(gone).size).toBe(1);
  await reply.finish({ answer: answer("Once upon a time.") });
  see(callsOf(slack, "chat.update")).toEqual([]);
});

it.concurrent("§14.36 stops what waits in a thread where nothing streams yet, its later questions, too", async ({
  expect: see,
}) => {
  await using bridge = await asked();
  const { slack, place, question, turns, gone } = bridge;
  const ada = slack.person("Ada");
  ada.dm("and another?", { thread: question });
  ada.dm("elsewhere?");
  await vi.waitUntil(() => turns.length === 3, SOON);
  ada.stop(place, question);
  await see.poll(() => gone, SOON).toEqual([turns[0]?.dedupeKey, turns[1]?.dedupeKey]);
});

it.concurrent("§14.36 stops nobody else's question, and none that was asked later", async ({
  expect: see,
}) => {
  await using bridge = await openBridge({ slack: { echo: false } });
  const { slack, turns, gone } = bridge;
  const [ada, bob] = [slack.person("Ada"), slack.person("Bob")];
  const { ts: thread } = ada.say(slack.general, "@Coze one");
  bob.say(slack.general, "@Coze two", { thread });
  await vi.waitUntil(() => turns.length === 2, SOON);
  const before = slack.deliveries.all.length;
  ada.stop(slack.general, thread);
  await see.poll(() => gone, SOON).toEqual([turns[0]?.dedupeKey]);
  ada.say(slack.general, "@Coze three", { thread });
  await vi.waitUntil(() => turns.length === 3, SOON);
  const [stopped] = slack.deliveries.all.slice(before);
  if (stopped === undefined) throw new Error("no stop");
  await slack.deliveries.deliver(stopped.kind, { ...stopped.payload, event_id: "Ev0REPEATED" }).done;
  await see.poll(() => gone.length, SOON).toBe(2);
  see(gone).not.toContain(turns[2]?.dedupeKey);
});

it.concurrent("§14.36 stops a thread's first question where an earlier process took it", async ({
  expect: see,
}) => {
  await using bridge = await asked();
  const { slack, place, turns, gone } = bridge;
  slack.person("Ada").stop(place, "1700000000.000100");
  await see.poll(() => gone, SOON).toEqual([turns[0]?.dedupeKey.replace(/[^:]+$/, "1700000000.000100")]);
});

it.concurrent("tells when a question is deleted, before its answer and after it began", async ({
  expect: see,
}) => {
  await using bridge = await asked();
  const { slack, place, question, turns, gone } = bridge;
  const ada = slack.person("Ada");
  const other = ada.say(slack.general, "@Coze another");
  await vi.waitUntil(() => turns.length === 2, SOON);
  ada.unsay(slack.general, other.ts);
  await see.poll(() => gone, SOON).toEqual([turns[1]?.dedupeKey]);
  const { reply } = await bridge.reply(turns[0]);
  reply.show({ answer: answer("Once upon") });
  await vi.waitUntil(() => slack.view(place).messages.length === 2, SOON);
  ada.unsay(place, question);
  await see.poll(() => gone, SOON).toEqual([turns[1]?.dedupeKey, turns[0]?.dedupeKey]);
  await reply.finish({ answer: answer("Once upon a time.") });
});

it("makes no turn of a deletion, and acknowledges it though nobody can cancel", async () => {
  await using bridge = await asked();
  const { slack, place, question } = bridge;
  const deliveries = slack.person("Ada").unsay(place, question);
  await Promise.all(deliveries.map(({ done }) => done));
  expect(slack.deliveries.open).toEqual([]);
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("tells somebody who is still looked up in their language that it takes no more", async ({
  expect: see,
}) => {
  await using bridge = await openFull();
  const { slack } = bridge;
  const said = slack.person("Wei", { locale: "zh-CN" }).dm("hello");
  const told = (): readonly string[] =>
    slack
      .view(said.channel)
      .messages.filter(({ bot }) => bot)
      .map(({ text }) => text);
  await see.poll(told, SOON).toEqual([see.stringMatching(/[\u4e00-\u9fff]/)]);
});

it.concurrent("shows somebody who is still looked up in their language that they wait", async ({
  expect: see,
}) => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  slack.scopes.delete("reactions:write");
  slack.person("Wei", { locale: "zh-CN" }).say(slack.general, "@Coze hello");
  await see.poll(() => bridge.turns.length, SOON).toBe(1);
  await adapter.showWaiting(toTurn(bridge.turns[0]), true, { signal });
  see(slack.view(slack.general).status).toBe("排队中，稍后回答…");
});
