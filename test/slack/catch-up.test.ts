import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

/** A bridge that was asked in a channel, in its thread and in a DM, and is down now. Slack delivers nothing again. */
async function wentDown(options: BridgeOptions = {}): Promise<SlackBridge & { root: string; dm: string }> {
  const bridge = await openBridge({ ...options, slack: { retryMs: [], echo: false, ...options.slack } });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const { ts: root } = ada.say(slack.general, "@Coze one");
  const { channel: dm } = ada.dm("two");
  await vi.waitUntil(() => bridge.turns.length === 2, SOON);
  await bridge.adapter[Symbol.asyncDispose]();
  return Object.assign(bridge, { root, dm });
}

function textsOf({ turns }: SlackBridge): readonly string[] {
  return turns.slice(2).map(({ text }) => text);
}

it.concurrent("finds what was asked while it was down: mentions, threads, DMs with files", async ({
  expect: see,
}) => {
  await using bridge = await wentDown();
  const { slack, root } = bridge;
  const ada = slack.person("Ada");
  ada.say(slack.general, "not for the bot");
  // What is odd among the messages hides none of them.
  const odd = { user: 7 as unknown as string, bot: false };
  slack.workspace.post(slack.workspace.channels.get(slack.general) ?? see.fail(), odd, { text: "?" });
  ada.say(slack.general, "@Coze three");
  ada.say(slack.general, "four", { thread: root });
  const file = { name: "a.png", mimetype: "image/png", bytes: Buffer.from("png") };
  ada.dm("five", { files: [file] });
  await bridge.openAnother();
  await see.poll(() => [...textsOf(bridge)].sort(), SOON).toEqual(["five", "four", "three"]);
  const late = bridge.turns.slice(2);
  see(late.every((turn) => turn.late === true)).toBe(true);
  see(late.find(({ text }) => text === "five")?.attachments).toMatchObject([{ name: "a.png" }]);
  see(late.find(({ text }) => text === "four")?.conversation).toBe(bridge.turns[0]?.conversation);
  see(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it.concurrent("finds again what it took in itself when it is killed before its marks are written", async ({
  expect: see,
}) => {
  await using bridge = await openBridge({ settles: false, slack: { retryMs: [], echo: false } });
  const { slack, turns } = bridge;
  const ada = slack.person("Ada");
  const { ts: root } = ada.say(slack.general, "@Coze one");
  await vi.waitUntil(() => turns.length === 1, SOON);
  ada.say(slack.general, "two", { thread: root });
  await vi.waitUntil(() => turns.length === 2, SOON);
  const { reply } = await bridge.reply(turns[1]);
  await reply.finish({ answer: answer("Second.") });
  ada.say(slack.general, "three", { thread: root });
  ada.dm("four");
  await vi.waitUntil(() => turns.length === 4, SOON);
  await bridge.adapter[Symbol.asyncDispose]();
  turns.splice(0);
  await bridge.openAnother();
  const found = (): readonly string[] =>
    turns
      .map(({ text, perhapsStarted }) => `${text}${perhapsStarted === true ? ", answered?" : ""}`)
      .toSorted();
  // Of a root only Slack's word is known that something stands in its thread.
  await see.poll(found, SOON).toEqual(["four", "one, answered?", "three", "two, answered?"]);
});

it.concurrent("names late questions as live ones, whatever has become of them since", async ({
  expect: see,
}) => {
  await using bridge = await wentDown();
  const { slack, dm } = bridge;
  const ada = slack.person("Ada");
  const { ts } = ada.dm("three");
  // Somebody replied to it already, so Slack calls it a thread's root.
  ada.say(dm, "four", { thread: ts });
  const message = slack.workspace.channels.get(dm)?.messages.get(ts);
  if (message !== undefined) Object.assign(message, { threadTs: undefined });
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toContain("three");
  const [two, three] = [bridge.turns[1], bridge.turns.find(({ text }) => text === "three")];
  see(three?.dedupeKey).toBe(`slack:${slack.workspace.team}:${dm}:${ts}`);
  see(three?.conversation).toBe(two?.conversation);
});

it.concurrent("hands in a place's questions oldest first", async ({ expect: see }) => {
  await using bridge = await wentDown();
  const ada = bridge.slack.person("Ada");
  for (let number = 0; number < 12; number += 1) ada.dm(`late ${number}`);
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge).length, SOON).toBe(12);
  see(textsOf(bridge)).toEqual(Array.from({ length: 12 }, (_, number) => `late ${number}`));
});

it.concurrent("says once per place how many it does not answer", async ({ expect: see }) => {
  await using bridge = await wentDown({ perPlace: 3 });
  const { slack, dm } = bridge;
  const ada = slack.person("Ada");
  for (let number = 0; number < 8; number += 1) ada.dm(`late ${number}`);
  const another = await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["late 5", "late 6", "late 7"]);
  const notices = (): readonly string[] =>
    slack
      .view(dm)
      .messages.filter(({ bot }) => bot)
      .map(({ text }) => text);
  see(notices()).toEqual([see.stringContaining("5 more questions")]);
  await another[Symbol.asyncDispose]();
  await bridge.openAnother();
  await see.poll(() => callsOf(slack, "conversations.history").length, SOON).toBeGreaterThanOrEqual(4);
  see(notices()).toHaveLength(1);
  see(textsOf(bridge)).toHaveLength(3);
});

it.concurrent("keeps to what it said, also when Slack delivers again what was left out", async ({
  expect: see,
}) => {
  await using bridge = await wentDown({ perPlace: 1 });
  const { slack, dm } = bridge;
  const ada = slack.person("Ada");
  const { deliveries } = ada.dm("three");
  ada.dm("four");
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["four"]);
  const again = deliveries.map(({ kind, payload }) => slack.deliveries.deliver(kind, payload));
  await see.poll(() => again.every(({ acked }) => acked), SOON).toBe(true);
  // Handed in before it is acknowledged, so it would be here by now.
  see(textsOf(bridge)).toEqual(["four"]);
  see(slack.view(dm).messages.filter(({ bot }) => bot)).toHaveLength(1);
});

it.concurrent("lives without history scopes, and says so once", async ({ expect: see }) => {
  await using bridge = await wentDown({
    slack: { scopes: ["app_mentions:read", "chat:write", "im:history", "users:read"] },
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.say(slack.general, "@Coze three");
  ada.dm("four");
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["four"]);
  ada.say(slack.general, "@Coze five");
  await see.poll(() => textsOf(bridge), SOON).toEqual(["four", "five"]);
  const said = bridge.log.filter(
    ({ message, fields }) =>
      message.includes("not available") && (fields as { feature: string }).feature === "history:C",
  );
  see(said).toHaveLength(1);
});

it.concurrent("takes in what is asked while it looks after what was missed, not as late and not as left out", async ({
  expect: see,
}) => {
  await using bridge = await wentDown({ perPlace: 1 });
  const { slack, dm } = bridge;
  const ada = slack.person("Ada");
  ada.dm("three");
  ada.dm("four");
  slack.faults.plan("POST /api/conversations.history", { do: "delay", ms: 500 }, 2);
  await bridge.openAnother();
  const live = [...ada.dm("five").deliveries, ...ada.say(slack.general, "@Coze begins").deliveries];
  await Promise.all(live.map(({ done }) => done));
  see(live.every(({ acked }) => acked)).toBe(true);
  const inDm = bridge.turns.slice(2).filter(({ address }) => JSON.stringify(address).includes(dm));
  see([...new Set(inDm.map(({ text }) => text))]).toEqual(["four", "five"]);
  see(new Set(inDm.map(({ late, text }) => `${text} ${late === true}`))).toEqual(
    new Set(["four true", "five false"]),
  );
  const notices = slack.view(dm).messages.filter(({ bot }) => bot);
  see(notices.map(({ text }) => text)).toEqual([see.stringContaining("1 more question was")]);
});

it.concurrent("takes a change in behind its question, which waits for what was missed", async ({
  expect: see,
}) => {
  const taken: string[] = [];
  await using bridge = await wentDown({
    onTurn: ({ text }) => {
      taken.push(text);
      return Promise.resolve();
    },
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  slack.faults.plan("POST /api/conversations.history", { do: "delay", ms: 500 }, 2);
  await bridge.openAnother();
  const { channel, ts, deliveries } = ada.dm("tpyo");
  await sleep(50);
  const live = [...deliveries, ...ada.edit(channel, ts, "typo")];
  await Promise.all(live.map(({ done }) => done));
  see(bridge.edited).toHaveLength(1);
  see(taken.slice(2).length).toBeGreaterThan(1);
  see(taken.at(-1)).toBe("typo");
});

it.concurrent("counts as missed what Slack brings again in the middle of the look", async ({
  expect: see,
}) => {
  const retryMs = Array<number>(400).fill(50);
  await using bridge = await wentDown({ perPlace: 1, slack: { retryMs } });
  const { slack, dm } = bridge;
  const ada = slack.person("Ada");
  const missed = [...ada.dm("three").deliveries, ...ada.dm("four").deliveries];
  await vi.waitUntil(() => missed.every(({ attempts }) => attempts >= 3), SOON);
  slack.faults.plan("POST /api/conversations.history", { do: "delay", ms: 500 }, 2);
  await bridge.openAnother();
  await see.poll(() => missed.every(({ acked }) => acked), SOON).toBe(true);
  const late = bridge.turns.slice(2);
  see([...new Set(late.map(({ text }) => text))]).toEqual(["four"]);
  see(late.every((turn) => turn.late === true)).toBe(true);
  const notices = slack.view(dm).messages.filter(({ bot }) => bot);
  see(notices.map(({ text }) => text)).toEqual([see.stringContaining("1 more question was")]);
});

it.concurrent("refuses what it cannot put after what was missed: both are found by the next look", async ({
  expect: see,
}) => {
  await using bridge = await wentDown();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.dm("three");
  slack.faults.plan("POST /api/conversations.history", { do: "hang" });
  const another = await bridge.openAnother();
  const [delivery] = ada.dm("four").deliveries;
  await delivery?.done;
  see(delivery?.acked).toBe(false);
  see(textsOf(bridge)).toEqual([]);
  await another[Symbol.asyncDispose]();
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["three", "four"]);
});

it.concurrent("leaves to the next look what it had no time for, also where something is asked meanwhile", async ({
  expect: see,
}) => {
  const stored = Promise.withResolvers<void>();
  let storing = 0;
  await using bridge = await wentDown({
    onTurn: async ({ text }) => {
      if (text !== "four") return;
      storing += 1;
      await stored.promise;
    },
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.say(slack.general, "@Coze three");
  slack.faults.plan("POST /api/conversations.history", { do: "hang" });
  const another = await bridge.openAnother();
  ada.say(slack.general, "@Coze four");
  await vi.waitUntil(() => storing > 0, SOON);
  const closing = another[Symbol.asyncDispose]();
  // The look has ended by then.
  await sleep(100);
  stored.resolve();
  await closing;
  see(textsOf(bridge)).toEqual(["four"]);
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["four", "three"]);
});

it.concurrent("tries again when the queue is full for a moment", async ({ expect: see }) => {
  let full = 0;
  const { BridgeError } = await import("../../src/core/errors.ts");
  await using bridge = await wentDown({
    onTurn: (turn) => {
      if (turn.late !== true || full > 0) return Promise.resolve();
      full += 1;
      return Promise.reject(new BridgeError("QUEUE_FULL", "full", { retryable: true }));
    },
  });
  bridge.slack.person("Ada").dm("three");
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["three"]);
});

it.concurrent("finds what was asked although its store is away at first", async ({ expect: see }) => {
  await using bridge = await wentDown({ speed: 20 });
  bridge.slack.person("Ada").dm("three");
  bridge.store.listsToFail = 2;
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["three"]);
  see(bridge.turns.at(-1)?.late).toBe(true);
  const warnings = bridge.log.filter(({ message }) => message === "followed places could not be read");
  see(warnings).toHaveLength(2);
});

it.concurrent("catches up when the socket was away for longer than Slack repeats", async ({
  expect: see,
}) => {
  let skipped = 0;
  await using bridge = await openBridge({
    slack: { retryMs: [], echo: false },
    now: () => performance.now() + skipped,
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.dm("one");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  slack.faults.plan("POST /api/apps.connections.open", { do: "answer", status: 500 }, 2);
  slack.sockets.dropAll();
  await vi.waitUntil(() => slack.sockets.open === 0, SOON);
  ada.dm("two");
  await vi.waitUntil(() => !bridge.adapter.health().ok, SOON);
  skipped = 300_000;
  await see.poll(() => bridge.turns.map(({ text }) => text), SOON).toEqual(["one", "two"]);
});

it("keeps the threads it takes part in over a restart, without asking Slack", async () => {
  await using bridge = await wentDown();
  const { slack, root } = bridge;
  await bridge.openAnother();
  await expect.poll(() => slack.sockets.greeted, SOON).toBe(2);
  slack.scopes.delete("users:read");
  await expect.poll(() => callsOf(slack, "conversations.replies").length, SOON).toBeGreaterThanOrEqual(2);
  const before = callsOf(slack, "conversations.replies").length;
  slack.person("Ada").say(slack.general, "and then?", { thread: root });
  await expect.poll(() => textsOf(bridge), SOON).toEqual(["and then?"]);
  expect(callsOf(slack, "conversations.replies").length).toBe(before);
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer("Then this.") });
});

it.concurrent("goes slowly where Slack allows one look a minute, and finds all", async ({ expect: see }) => {
  const speed = 300;
  const started = Date.now();
  const clock = {
    now: () => started + (Date.now() - started) * speed,
    after: (ms: number, call: () => void) => {
      const timer = setTimeout(call, ms / speed);
      return () => clearTimeout(timer);
    },
  };
  await using bridge = await wentDown({
    speed,
    slack: { clock, ackTimeoutMs: 1e7, switches: { limitedHistory: true } },
  });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.say(slack.general, "@Coze three");
  for (let number = 0; number < 18; number += 1) ada.dm(`late ${number}`);
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge).length, SOON).toBe(19);
  const refused = slack.traffic.exchanges.filter(({ status }) => status === 429).length;
  // One for each of the two methods, until it is known; the rest waits for its minute.
  see(refused).toBeLessThanOrEqual(4);
  see(bridge.log.filter(({ message }) => message === "slack place not caught up")).toEqual([]);
});

it("reads all pages of a place", async () => {
  await using bridge = await wentDown({
    perPlace: 60,
    slack: { switches: { limitedHistory: true }, limits: false },
  });
  const ada = bridge.slack.person("Ada");
  for (let number = 0; number < 40; number += 1) ada.dm(`late ${number}`);
  await bridge.openAnother();
  await expect.poll(() => textsOf(bridge).length, SOON).toBe(40);
  expect(textsOf(bridge)).toEqual(Array.from({ length: 40 }, (_, number) => `late ${number}`));
});

it.concurrent("finds what was asked when Slack had trouble for longer than the tries of one look", async ({
  expect: see,
}) => {
  await using bridge = await wentDown({ speed: 100 });
  const { slack } = bridge;
  slack.person("Ada").dm("three");
  slack.faults.plan("POST /api/conversations.history", { do: "answer", status: 500 }, 10);
  await bridge.openAnother();
  await see.poll(() => textsOf(bridge), SOON).toEqual(["three"]);
  const failed = bridge.log.filter(({ message }) => message === "slack place not caught up");
  see(failed.length).toBeGreaterThan(0);
});
