import { it } from "vitest";
import { callsOf, openBridge, SOON, toTurn } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

it.concurrent("§14.1 takes a mention and its message twin for one turn, in both orders", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const { deliveries } = slack.person("Ada").say(slack.general, "@Coze hello");
  expect(deliveries.map(({ payload }) => (payload["event"] as { type: string }).type)).toEqual([
    "app_mention",
    "message",
  ]);
  await Promise.all(deliveries.map(({ done }) => done));
  // The other order: the message first.
  for (const { kind, payload } of [...deliveries].reverse())
    await slack.deliveries.deliver(kind, payload).done;
  expect(slack.deliveries.open).toEqual([]);
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("hands in a mention once, and its twin only where that may bring files", async ({ expect }) => {
  const handedIn: string[] = [];
  await using bridge = await openBridge({
    onTurn: ({ text, attachments }) =>
      Promise.resolve(void handedIn.push(`${text}, ${attachments.length} files`)),
  });
  const ada = bridge.slack.person("Ada");
  const file = { name: "a.png", mimetype: "image/png", bytes: Buffer.from("png") };
  const plain = ada.say(bridge.slack.general, "@Coze plain");
  await Promise.all(plain.deliveries.map(({ done }) => done));
  const filed = ada.say(bridge.slack.general, "@Coze filed", { files: [file] });
  await Promise.all(filed.deliveries.map(({ done }) => done));
  expect([...plain.deliveries, ...filed.deliveries].map(({ acked }) => acked)).toEqual(Array(4).fill(true));
  expect(handedIn).toEqual(["plain, 0 files", "filed, 1 files", "filed, 1 files"]);
});

it.concurrent("§14.1 takes twins on two sockets of two processes for one turn", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  await bridge.openAnother();
  expect(slack.sockets.open).toBe(2);
  const { deliveries } = slack.person("Ada").say(slack.general, "@Coze hello");
  await Promise.all(deliveries.map(({ done }) => done));
  expect(deliveries.map(({ acked }) => acked)).toEqual([true, true]);
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("§14.2 takes four deliveries of one event for one turn while the first insert is slow", async ({
  expect,
}) => {
  const { promise: inserted, resolve: insert } = Promise.withResolvers<void>();
  await using bridge = await openBridge({
    slack: { subscriptions: ["app_mention"], echo: false, ackTimeoutMs: 500 },
    onTurn: () => inserted,
  });
  const { slack } = bridge;
  const [delivery] = slack.person("Ada").say(slack.general, "@Coze hello").deliveries;
  await expect.poll(() => delivery?.attempts, SOON).toBe(4);
  insert();
  await delivery?.done;
  expect(delivery?.acked).toBe(true);
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("§14.3 §14.4 does not acknowledge what could not be stored, and takes its retry", async ({
  expect,
}) => {
  let failures = 1;
  await using bridge = await openBridge({
    slack: { subscriptions: ["app_mention"], ackTimeoutMs: 500 },
    onTurn: () => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error("disk full")) : Promise.resolve();
    },
  });
  const { slack } = bridge;
  const [delivery] = slack.person("Ada").say(slack.general, "@Coze hello").deliveries;
  await delivery?.done;
  expect(delivery).toMatchObject({ acked: true, attempts: 2 });
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("marks as late what was taken a minute later, by the second repeat", async ({ expect }) => {
  let failures = 0;
  await using bridge = await openBridge({
    slack: { subscriptions: ["app_mention"], ackTimeoutMs: 500, retryMs: [10, 10] },
    onTurn: () => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error("disk full")) : Promise.resolve();
    },
  });
  const { slack } = bridge;
  for (const times of [1, 2]) {
    failures = times;
    await slack.person("Ada").say(slack.general, `@Coze failed ${times}`).deliveries[0]?.done;
  }
  expect(bridge.turns.map(({ late }) => late)).toEqual([undefined, true]);
});

it.concurrent("never acknowledges before the turn is stored", async ({ expect }) => {
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await using bridge = await openBridge({
    slack: { subscriptions: ["app_mention"] },
    onTurn: () => {
      ask();
      return stored;
    },
  });
  const { slack } = bridge;
  const [delivery] = slack.person("Ada").say(slack.general, "@Coze hello").deliveries;
  await asked;
  expect(slack.traffic.exchanges.filter(({ kind }) => kind === "received")).toEqual([]);
  store();
  await delivery?.done;
  expect(delivery?.acked).toBe(true);
});

it.concurrent("§14.5 acknowledges the redelivery of an event whose acknowledgement was lost", async ({
  expect,
}) => {
  await using bridge = await openBridge({ slack: { subscriptions: ["app_mention"], ackTimeoutMs: 500 } });
  const { slack } = bridge;
  slack.sockets.loseAcks = 1;
  const [delivery] = slack.person("Ada").say(slack.general, "@Coze hello").deliveries;
  await delivery?.done;
  expect(delivery).toMatchObject({ acked: true, attempts: 2 });
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("§14.6 loses no envelope that arrives on the old socket after a warning", async ({
  expect,
}) => {
  await using bridge = await openBridge({ slack: { subscriptions: ["app_mention"], retryMs: [] } });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  slack.sockets.disconnect("warning", { keepOpen: true });
  const said = [1, 2, 3].map((number) => ada.say(slack.general, `@Coze ${number}`));
  await Promise.all(said.flatMap(({ deliveries }) => deliveries).map(({ done }) => done));
  expect(slack.deliveries.open).toEqual([]);
  expect(bridge.turns.map(({ text }) => text)).toEqual(["1", "2", "3"]);
  await expect.poll(() => slack.sockets.greeted, SOON).toBe(2);
});

it.concurrent("§14.7 gets what was open at a refresh again on the new socket", async ({ expect }) => {
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  await using bridge = await openBridge({
    slack: { subscriptions: ["app_mention"], ackTimeoutMs: 100, retryMs: Array<number>(100).fill(50) },
    onTurn: () => stored,
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const said = Array.from({ length: 20 }, (_, number) => ada.say(slack.general, `@Coze ${number}`));
  slack.sockets.disconnect("refresh_requested", { keepOpen: false });
  await expect.poll(() => slack.sockets.greeted, SOON).toBe(2);
  store();
  await Promise.all(said.flatMap(({ deliveries }) => deliveries).map(({ done }) => done));
  expect(slack.deliveries.open).toEqual([]);
  expect(bridge.turns).toHaveLength(20);
});

it.concurrent("§14.8 stops with a clear error, and without a storm, when Socket Mode is switched off", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack, adapter, log } = bridge;
  slack.sockets.disconnect("link_disabled", { keepOpen: false });
  await expect.poll(() => adapter.health().ok, SOON).toBe(false);
  expect(adapter.health().detail).toContain("switched off");
  expect(log.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual([
    "slack socket mode is switched off, no longer receiving",
  ]);
  expect(slack.sockets.greeted).toBe(1);
});

it.concurrent("§14.9 survives one refusal of the app token and server errors", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack, adapter } = bridge;
  slack.faults.plan("POST /api/apps.connections.open", {
    do: "answer",
    status: 200,
    body: { ok: false, error: "invalid_auth" },
  });
  slack.faults.plan("POST /api/apps.connections.open", { do: "answer", status: 500, body: "<html>" });
  slack.sockets.dropAll();
  await expect.poll(() => slack.sockets.greeted).toBe(2);
  await expect.poll(() => adapter.health().ok, SOON).toBe(true);
});

it.concurrent("§14.9 gives up an app token that is refused for good, and says so once", async ({
  expect,
}) => {
  await using bridge = await openBridge({ speed: 20 });
  const { slack, adapter, fatal, log } = bridge;
  const refusal = { do: "answer", status: 200, body: { ok: false, error: "invalid_auth" } } as const;
  slack.faults.plan("POST /api/apps.connections.open", refusal, 100);
  slack.sockets.dropAll();
  await expect
    .poll(() => fatal, SOON)
    .toMatchObject([
      { code: "PLATFORM_AUTH", message: expect.stringContaining("connections:write") as string },
    ]);
  expect(adapter.health().ok).toBe(false);
  expect(log.filter(({ level }) => level === "error")).toHaveLength(1);
  expect(callsOf(slack, "apps.connections.open")).toHaveLength(4);
});

it.concurrent("§14.9 waits as long as Slack says before it asks for a socket again", async ({ expect }) => {
  const waits: number[] = [];
  await using bridge = await openBridge({ speed: 100, onTimer: (ms) => void waits.push(ms) });
  const { slack } = bridge;
  slack.faults.plan("POST /api/apps.connections.open", {
    do: "answer",
    status: 429,
    headers: { "retry-after": "30" },
    body: { ok: false, error: "ratelimited" },
  });
  slack.sockets.dropAll();
  await expect.poll(() => slack.sockets.greeted, SOON).toBe(2);
  expect(waits).toContain(30_000);
  expect(callsOf(slack, "apps.connections.open")).toHaveLength(3);
});

it.concurrent("§14.9 says what to do when Slack does not take a token at all", async ({ expect }) => {
  const wrong = ["xoxb", "wrong"].join("-");
  await expect(openBridge({ settings: { botToken: wrong } })).rejects.toMatchObject({
    code: "PLATFORM_AUTH",
    message: expect.stringContaining("SLACK_BOT_TOKEN") as string,
  });
});

it.concurrent("§14.12 acknowledges a payload without an event, and lives on", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const limited = {
    token: "t",
    type: "app_rate_limited",
    team_id: "T1",
    minute_rate_limited: 1,
    api_app_id: "A1",
  };
  const delivery = slack.deliveries.deliver("events_api", limited);
  await delivery.done;
  expect(delivery.acked).toBe(true);
  slack.person("Ada").dm("still there?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
});

it.concurrent("§14.13 ignores unknown envelopes, binary frames, broken JSON and huge frames", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.sockets.sendRaw(JSON.stringify({ type: "close", envelope_id: "e1", payload: {} }));
  slack.sockets.sendRaw(JSON.stringify({ type: "error", envelope_id: "e2", payload: {} }));
  slack.sockets.sendRaw(JSON.stringify({ type: "disconnected", envelope_id: "e3", payload: {} }));
  slack.sockets.sendRaw(Buffer.from([0, 1, 2]));
  slack.sockets.sendRaw('{"type": "events_api", ');
  slack.sockets.sendRaw(JSON.stringify({ type: "nonsense", payload: "x".repeat(1_000_000) }));
  slack.person("Ada").dm("still there?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(slack.sockets.greeted).toBe(1);
});

it.concurrent("§14.19 makes no turn of its own messages, edits and streams", async ({ expect }) => {
  await using bridge = await openBridge({ slack: { limits: false } });
  const { slack } = bridge;
  const said = slack.person("Ada").say(slack.general, "@Coze hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const before = slack.deliveries.all.length;
  const own = { user: slack.workspace.bot.userId, bot: true };
  const { channels } = slack.workspace;
  const channel = channels.get(slack.general);
  if (channel === undefined) throw new Error("no channel");
  for (let count = 0; count < 1_000; count += 1) {
    const event = {
      type: "message",
      ...own,
      bot_id: slack.workspace.bot.botId,
      app_id: slack.workspace.appId,
      text: `<@${slack.workspace.bot.userId}> echo`,
      channel: slack.general,
      channel_type: "channel",
      thread_ts: said.ts,
      ts: slack.workspace.newTs(),
      event_ts: slack.workspace.newTs(),
      ...(count % 2 === 0 && { subtype: "message_changed", hidden: true }),
      ...(count % 3 === 0 && { subtype: "file_share" }),
    };
    const payload = { type: "event_callback", team_id: slack.workspace.team, event };
    const { done } = slack.deliveries.deliver("events_api", payload);
    // The other tests of this file run meanwhile.
    if (count % 50 === 0) await done;
  }
  await Promise.all(slack.deliveries.all.slice(before).map(({ done }) => done));
  expect(slack.deliveries.open).toEqual([]);
  expect(bridge.turns).toHaveLength(1);
});

it.concurrent("§14.23 answers a reply that also goes to the channel once, in its thread", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const root = ada.say(slack.general, "Lunch?");
  const { deliveries } = ada.say(slack.general, "@Coze where?", { thread: root.ts, broadcast: true });
  await Promise.all(deliveries.map(({ done }) => done));
  expect(bridge.turns.map(({ address }) => address)).toMatchObject([{ thread: root.ts }]);
});

it.concurrent("§14.25 answers a bare mention with one sentence of help, and asks nothing", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const { deliveries } = slack.person("Ada").say(slack.general, "@Coze");
  await Promise.all(deliveries.map(({ done }) => done));
  expect(bridge.turns).toEqual([]);
  const help = slack.view(slack.general).messages.filter(({ bot }) => bot);
  expect(help.map(({ text }) => text)).toEqual([expect.stringContaining("Ask me something")]);
});

it.concurrent("follows a thread it answers in without being mentioned, and no other", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const root = ada.say(slack.general, "@Coze hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  ada.say(slack.general, "and then?", { thread: root.ts });
  await expect.poll(() => bridge.turns.length, SOON).toBe(2);
  expect(bridge.turns[1]).toMatchObject({
    conversation: bridge.turns[0]?.conversation,
    continues: `slack:${slack.general}:${root.ts}`,
  });
  const other = ada.say(slack.general, "Something else");
  const { deliveries } = ada.say(slack.general, "indeed", { thread: other.ts });
  await Promise.all(deliveries.map(({ done }) => done));
  expect(bridge.turns).toHaveLength(2);
});

it.concurrent("knows a thread again after a restart, by one look at it", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const root = ada.say(slack.general, "@Coze hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  await bridge.adapter[Symbol.asyncDispose]();
  await bridge.openAnother();
  await expect.poll(() => slack.sockets.open, SOON).toBe(1);
  for (const text of ["still there?", "and now?"]) ada.say(slack.general, text, { thread: root.ts });
  await expect.poll(() => bridge.turns.length, SOON).toBe(3);
  expect(slack.traffic.exchanges.filter(({ name }) => name.endsWith("conversations.replies"))).toHaveLength(
    1,
  );
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it.concurrent("keeps the order of a conversation while names are looked up", async ({ expect }) => {
  await using bridge = await openBridge({ slack: { subscriptions: ["message.im"], echo: false } });
  const { slack } = bridge;
  slack.faults.plan("POST /api/users.info", { do: "delay", ms: 80 });
  const ada = slack.person("Ada");
  for (let number = 0; number < 5; number += 1) ada.dm(`question ${number}`);
  await expect.poll(() => bridge.turns.length, SOON).toBe(5);
  expect(bridge.turns.map(({ text }) => text.at(-1))).toEqual(["0", "1", "2", "3", "4"]);
});

it.concurrent("waits for no name that it knows, though it may have changed", async ({ expect }) => {
  let later = 0;
  await using bridge = await openBridge({
    slack: { subscriptions: ["message.im"], echo: false },
    now: () => performance.now() + later,
  });
  const { slack, adapter, signal } = bridge;
  const ada = slack.person("Ada");
  ada.dm("hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  await adapter.complete?.(toTurn(bridge.turns[0]), { signal });
  later = 2 * 3_600_000;
  const asked = (): number =>
    slack.traffic.exchanges.filter(({ name }) => name.endsWith("users.info")).length;
  const before = asked();
  slack.faults.plan("POST /api/users.info", { do: "delay", ms: 950 });
  ada.dm("still there?");
  await expect.poll(() => bridge.turns.length, { timeout: 900 }).toBe(2);
  expect(asked()).toBe(before);
  expect(bridge.turns[1]?.asker.name).toBe("Ada");
  const met = await adapter.complete?.(toTurn(bridge.turns[1]), { signal });
  expect(met?.asker?.name).toBe("Ada");
  await expect.poll(asked, SOON).toBe(before + 1);
});

it.concurrent("hands a question in before its asker is looked up, and knows them when it is to speak", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const wei = slack.person("Wei", { locale: "zh-CN" });
  wei.say(slack.general, "@Coze hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const asked = toTurn(bridge.turns[0]);
  expect(asked).toMatchObject({ text: "hello", asker: { name: wei.id }, locale: "en" });
  const key = `slack:${slack.workspace.team}:${wei.id}`;
  expect(await adapter.complete?.(asked, { signal })).toEqual({ asker: { key, name: "Wei" }, locale: "zh" });
  expect(callsOf(slack, "users.info")).toHaveLength(1);
  wei.say(slack.general, "@Coze and now?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(2);
  expect(bridge.turns[1]).toMatchObject({ asker: { name: "Wei" }, locale: "zh" });
  expect(adapter.complete?.(toTurn(bridge.turns[1]), { signal })).toBeUndefined();
});

it.concurrent("leaves it to the process that answers a question to look up its asker", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack, signal } = bridge;
  slack.person("Wei", { locale: "zh-CN" }).say(slack.general, "@Coze hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const other = await bridge.openAnother();
  expect(await other.complete?.(toTurn(bridge.turns[0]), { signal })).toMatchObject({ locale: "zh" });
  expect(callsOf(slack, "users.info")).toHaveLength(1);
});

it.concurrent("waits for the names that a question mentions, and for its asker where it mentions them", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const [ada, wei] = [slack.person("Ada").id, slack.person("Wei").id];
  const { team, bot } = slack.workspace;
  const ask = (user: string, text: string): unknown => {
    const event = { type: "app_mention", user, text: `<@${bot.userId}> ${text}`, channel: slack.general };
    const payload = {
      type: "event_callback",
      team_id: team,
      event: { ...event, ts: slack.workspace.newTs() },
    };
    return slack.deliveries.deliver("events_api", payload).done;
  };
  await ask(ada, `who is <@${wei}>?`);
  await ask(ada, `and who is <@${ada}>?`);
  const bob = slack.person("Bob").id;
  await ask(bob, `am I <@${bob}>?`);
  expect(bridge.turns.map(({ text }) => text)).toEqual(["who is @Wei?", "and who is @Ada?", "am I @Bob?"]);
  expect(bridge.turns[2]?.asker.name).toBe("Bob");
});

it.concurrent("speaks its help in the asker's language, though it has to be looked up", async ({
  expect,
}) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.faults.plan("POST /api/users.info", { do: "delay", ms: 80 });
  const { deliveries } = slack.person("Wei", { locale: "zh-CN" }).say(slack.general, "@Coze");
  await Promise.all(deliveries.map(({ done }) => done));
  const help = slack.view(slack.general).messages.filter(({ bot }) => bot);
  expect(help.map(({ text }) => text)).toEqual([expect.stringContaining("请")]);
});

it.concurrent("shows ids where it may not look up names", async ({ expect }) => {
  await using bridge = await openBridge({ slack: { scopes: ["chat:write", "im:history"] } });
  const ada = bridge.slack.person("Ada");
  ada.dm("hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(bridge.turns[0]?.asker.name).toBe(ada.id);
  const lacking = bridge.log.filter(({ message }) => message === "slack app lacks a scope");
  expect(lacking.map(({ fields }) => (fields as { scope: string }).scope)).toContain("users:read");
});
