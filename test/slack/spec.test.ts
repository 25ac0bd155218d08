import { expect, it } from "vitest";
import { startSlack } from "../../sandbox/slack/slack-stand-in.ts";
import { answer, openBridge, SOON } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

it("speaks only what Slack's descriptions know, both ways", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const file = { name: "a.txt", mimetype: "text/plain", bytes: Buffer.from("hi") };
  for (const say of [
    () => ada.say(slack.general, "@Coze one", { files: [file] }),
    () => ada.dm("two"),
    () => ada.slash(slack.general, "three"),
    () => ada.slash(slack.secret, "four"),
  ]) {
    const before = bridge.turns.length;
    say();
    await expect.poll(() => bridge.turns.length, SOON).toBe(before + 1);
    const { reply } = await bridge.reply();
    reply.show({ answer: answer("So") });
    await reply.finish({ answer: answer("So it is.\n\n```ts\nlet a = 1;\n```"), notice: "A notice." });
  }
  expect(slack.traffic.exchanges.length).toBeGreaterThan(20);
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it.each([
  ["an unknown argument", "chat.postMessage", { colour: "red" }, /unknown argument colour/],
  ["a block that is none", "chat.postMessage", { blocks: [{ type: "markdwn", text: "x" }] }, /blocks/],
  ["a missing argument", "chat.update", { ts: undefined }, /missing argument ts/],
])("would notice %s", (_what, method, change, violation) => {
  const request = { channel: "C1", ts: "1.2", text: "hi", ...change };
  const response = { ok: true, channel: "C1", ts: "1.2", text: "hi" };
  const exchange = {
    service: "slack",
    kind: "http",
    name: `POST /api/${method}`,
    status: 200,
    at: 0,
  } as const;
  expect(slackViolations([{ ...exchange, request, response }]).join()).toMatch(violation);
});

it("would notice an event and an answer that Slack does not send", () => {
  const sent = { service: "slack", kind: "sent", name: "events_api", at: 0 } as const;
  const event = { type: "app_mention", user: "U1", ts: 7, channel: "C1", event_ts: "1.2", text: [] };
  expect(slackViolations([{ ...sent, request: { event, made_up: 1 } }]).join()).toMatch(
    /made_up.*event app_mention/,
  );
  const answered = { service: "slack", kind: "http", name: "POST /api/chat.delete", at: 0 } as const;
  const response = { ok: false, error: "no_such_error" };
  expect(slackViolations([{ ...answered, response }])).toEqual(["chat.delete: unknown error no_such_error"]);
});

it("knows the app's own bot among its users", async () => {
  await using slack = await startSlack();
  const { bot } = slack.workspace;
  const response = await fetch(`${slack.apiUrl}users.info`, {
    method: "POST",
    headers: { authorization: `Bearer ${slack.botToken}` },
    body: new URLSearchParams({ user: bot.userId }),
  });
  const user = { id: bot.userId, is_bot: true, profile: { bot_id: bot.botId } };
  expect(await response.json()).toMatchObject({ ok: true, user });
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});
