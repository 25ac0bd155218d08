import { expect, it } from "vitest";
import { signedHeaders } from "../../sandbox/slack/delivery.ts";
import type { Adapter } from "../../src/core/ports.ts";
import { openBridge, type SlackBridge, SOON } from "./bridge.ts";

/** An event as Slack brings it to one of the processes. */
async function bring({ slack }: SlackBridge, receiver: Adapter, event: object): Promise<number> {
  const handler = receiver.routes["/slack/events"];
  if (handler === undefined) throw new Error("no route");
  const body = Buffer.from(
    JSON.stringify({ type: "event_callback", team_id: slack.workspace.team, event_id: "Ev1", event }),
  );
  const headers = {
    "content-type": "application/json",
    ...signedHeaders(body, slack.signingSecret, Date.now()),
  };
  const url = "http://bridge.example/slack/events";
  return (await handler(new Request(url, { method: "POST", headers, body: new Uint8Array(body) }))).status;
}

it("goes on in a thread that became ours in another process", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const { slack, adapter, turns } = bridge;
  const other = await bridge.openAnother();
  const ada = slack.person("Ada");
  const root = ada.say(slack.general, "lunch?");
  const say = async (receiver: Adapter, text: string, type = "message"): Promise<number> => {
    const { ts } = ada.say(slack.general, text.replace(/<@\w+>/, "@Coze"), { thread: root.ts });
    const event = { type, channel: slack.general, channel_type: "channel", user: ada.id, text, ts };
    return bring(bridge, receiver, { ...event, thread_ts: root.ts });
  };
  expect(await say(adapter, "sure")).toBe(200);
  await say(other, `<@${slack.workspace.bot.userId}> where?`, "app_mention");
  await say(adapter, "and when?");
  expect(turns.map(({ text }) => text)).toEqual(["where?", "and when?"]);
});

it("stores no question that was taken back before it came", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const { slack, adapter, turns, gone } = bridge;
  const ada = slack.person("Ada");
  const { channel, ts } = ada.dm("a secret");
  const deletion = { type: "message", subtype: "message_deleted", channel, deleted_ts: ts, ts: "9.9" };
  await bring(bridge, adapter, deletion);
  await bring(bridge, adapter, {
    type: "message",
    channel,
    channel_type: "im",
    user: ada.id,
    text: "a secret",
    ts,
  });
  expect([turns, gone]).toEqual([[], [`slack:${slack.workspace.team}:${channel}:${ts}`]]);
});

it("cancels a question that is taken back while it is stored, once it is", async () => {
  const order: string[] = [];
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  const onTurn = async (): Promise<void> => {
    begin();
    await stored;
    order.push("stored");
  };
  await using bridge = await openBridge({ onTurn });
  const ada = bridge.slack.person("Ada");
  const { channel, ts } = ada.dm("a secret");
  await begun;
  const deliveries = ada.unsay(channel, ts);
  setTimeout(store, 100);
  await Promise.all(deliveries.map(({ done }) => done));
  await expect.poll(() => bridge.gone.length, SOON).toBe(1);
  order.push("gone");
  expect(order).toEqual(["stored", "gone"]);
});
