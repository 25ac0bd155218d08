import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import type { Fault } from "../../sandbox/stand-in.ts";
import { callsOf, openBridge, type SlackBridge, SOON, toTurn } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

const REPORT = { name: "report.pdf", mimetype: "application/pdf", bytes: Buffer.from("%PDF-1.7 report") };
const CHART = { name: "chart.png", mimetype: "image/png", bytes: Buffer.from("png") };

/** A thread in which three people and a program have talked, without us. */
function talk({ slack }: SlackBridge): string {
  const [grace, alan] = [slack.person("Grace"), slack.person("Alan")];
  const { ts: root } = grace.say(slack.general, "the *report* of <@U404>", { raw: true, files: [REPORT] });
  alan.say(slack.general, "thanks", { thread: root });
  const channel = slack.workspace.channels.get(slack.general);
  if (channel === undefined) throw new Error("no channel");
  slack.workspace.post(
    channel,
    { user: "U0MONITOR", bot: false },
    {
      threadTs: root,
      forwards: [{ author: "Monitor", text: "Disk usage is 91 %", files: [] }],
    },
  );
  grace.say(slack.general, "and the chart", { thread: root, files: [CHART] });
  return root;
}

async function asked(bridge: SlackBridge, count: number): Promise<ReturnType<typeof toTurn>> {
  await expect.poll(() => bridge.turns.length, SOON).toBe(count);
  return toTurn(bridge.turns.at(-1));
}

const refused = (error: string, status = 200): Fault => ({
  do: "answer",
  status,
  headers: { "retry-after": "60" },
  body: { ok: false, error },
});

it("reads what stands above its first mention in a thread, once, with the files of its first and its last message", async () => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const root = talk(bridge);
  const ada = slack.person("Ada");
  ada.say(slack.general, "@Coze what do you think?", { thread: root });
  const turn = await asked(bridge, 1);
  const reads = (): number => callsOf(slack, "conversations.replies").length;
  const before = reads();
  expect(turn).toMatchObject({ belowTalk: true, attachments: [] });
  const found = await adapter.complete?.(turn, { signal });
  expect(found).toMatchObject({
    asker: { name: "Ada" },
    quote: {
      author: "Grace, Alan, U0MONITOR",
      text: [
        "Grace: the *report* of @U404",
        "Alan: thanks",
        "U0MONITOR: Monitor: Disk usage is 91 %",
        "Grace: and the chart",
      ].join("\n"),
    },
    attachments: [{ name: "report.pdf" }, { name: "chart.png" }],
  });
  const whole = { ...turn, ...found };
  const [report] = whole.attachments;
  if (report === undefined) throw new Error("no file");
  await using file = await adapter.fetchAttachment(whole, report, { maxBytes: 1_000, signal });
  expect(await readFile(file.path, "utf8")).toBe("%PDF-1.7 report");
  expect(reads() - before).toBe(1);
  // From now on we hear it all.
  slack.person("Alan").say(slack.general, "and you?", { thread: root });
  const next = await asked(bridge, 2);
  expect(next.belowTalk).toBeUndefined();
  expect((await adapter.complete?.(next, { signal }))?.quote).toBeUndefined();
  expect(reads() - before).toBe(1);
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it("reads nothing of what its asker says with the question, nor of what is said below it", async () => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const ada = slack.person("Ada");
  const { ts: root } = ada.say(slack.general, "my report");
  ada.say(slack.general, "@Coze one", { thread: root });
  const turn = await asked(bridge, 1);
  ada.say(slack.general, "@Coze two", { thread: root });
  const { address } = await asked(bridge, 2);
  slack.person("Alan").say(slack.general, "later", { thread: root });
  const found = await adapter.complete?.({ ...turn, address }, { signal });
  expect(found?.quote).toEqual({ author: "Ada", text: "my report" });
});

it("takes a mention and nothing else for a question about what stands above it", async () => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const ada = slack.person("Ada");
  const root = talk(bridge);
  ada.say(slack.general, "@Coze", { thread: root });
  const turn = await asked(bridge, 1);
  expect(turn).toMatchObject({ text: "@Coze", belowTalk: true });
  expect((await adapter.complete?.(turn, { signal }))?.quote?.text).toContain("Alan: thanks");
  // From now on it says nothing by itself, as in a channel.
  ada.say(slack.general, "@Coze", { thread: root });
  ada.say(slack.general, "@Coze");
  const help = (): readonly unknown[] => callsOf(slack, "chat.postMessage");
  await expect.poll(() => help().length, SOON).toBeGreaterThan(0);
  expect(bridge.turns).toHaveLength(1);
});

it("says nothing more to such a mention when its twin comes to another process", async () => {
  await using bridge = await openBridge({ slack: { retryMs: [] } });
  const { slack } = bridge;
  await bridge.openAnother();
  for (let round = 1; round <= 6; round += 1) {
    slack.person("Ada").say(slack.general, "@Coze", { thread: talk(bridge) });
    await expect.poll(() => new Set(bridge.turns.map(({ id }) => id)).size, SOON).toBe(round);
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(callsOf(slack, "chat.postMessage")).toEqual([]);
});

it("knows of a thread with a thousand messages only the first", async () => {
  await using bridge = await openBridge({ slack: { limits: false } });
  const { slack, adapter, signal } = bridge;
  const { ts: root } = slack.person("Grace").say(slack.general, "first");
  const channel = slack.workspace.channels.get(slack.general);
  if (channel === undefined) throw new Error("no channel");
  for (let number = 0; number < 1_000; number += 1) {
    slack.workspace.post(channel, { user: "U7", bot: false }, { threadTs: root, text: String(number) });
  }
  slack.person("Ada").say(slack.general, "@Coze well?", { thread: root });
  const found = await adapter.complete?.(await asked(bridge, 1), { signal });
  expect(found?.quote).toEqual({ author: "Grace", text: "first\n…" });
});

it("is asked about the first message only where an app is given fifteen", async () => {
  await using bridge = await openBridge({ slack: { switches: { limitedHistory: true }, limits: false } });
  const { slack, adapter, signal } = bridge;
  const grace = slack.person("Grace");
  const { ts: root } = grace.say(slack.general, "first");
  for (let number = 0; number < 20; number += 1) grace.say(slack.general, String(number), { thread: root });
  slack.person("Ada").say(slack.general, "@Coze well?", { thread: root });
  const turn = await asked(bridge, 1);
  expect((await adapter.complete?.(turn, { signal }))?.quote).toEqual({ author: "Grace", text: "first\n…" });
});

it("knows which files above cannot simply be fetched", async () => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const odd = { file_access: "check_file_info" };
  const { ts: root } = slack.person("Grace").say(slack.general, "", { files: [{ ...REPORT, odd }] });
  slack.person("Ada").say(slack.general, "@Coze well?", { thread: root });
  const found = await adapter.complete?.(await asked(bridge, 1), { signal });
  const [id = ""] = found?.attachments?.map((file) => file.id) ?? [];
  expect(found?.address).toMatchObject({ files: { [id]: "stub" } });
  expect(found).not.toHaveProperty("quote");
});

it("takes no look where Slack allows one a minute", async () => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  slack.faults.plan("POST /api/conversations.replies", refused("ratelimited", 429));
  slack.person("Alan").say(slack.general, "thanks", { thread: talk(bridge) });
  slack.person("Ada").say(slack.general, "@Coze well?", { thread: talk(bridge) });
  const turn = await asked(bridge, 1);
  const before = callsOf(slack, "conversations.replies").length;
  expect(before).toBeGreaterThan(0);
  expect((await adapter.complete?.(turn, { signal }))?.quote).toBeUndefined();
  expect(callsOf(slack, "conversations.replies").length).toBe(before);
});

it("has nothing to read above a thread's first message, a DM, or what its asker passes on", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const root = talk(bridge);
  const ada = slack.person("Ada");
  ada.say(slack.general, "@Coze hello");
  expect((await asked(bridge, 1)).belowTalk).toBeUndefined();
  const { ts } = ada.dm("hello");
  expect((await asked(bridge, 2)).belowTalk).toBeUndefined();
  ada.dm("more", { thread: ts });
  expect((await asked(bridge, 3)).belowTalk).toBeUndefined();
  ada.say(slack.general, "@Coze and this?", { thread: root, forward: { author: "Alan", text: "that" } });
  expect(await asked(bridge, 4)).not.toHaveProperty("belowTalk");
});

it.each<[string, Fault]>([
  ["the app may not read there", refused("missing_scope")],
  ["Slack does not answer in time", { do: "delay", ms: 2_500 }],
  ["Slack refuses it as too fast for a minute", refused("ratelimited", 429)],
])("is asked without what stands above where %s", async (_, fault) => {
  await using bridge = await openBridge();
  const { slack, adapter, signal } = bridge;
  const root = talk(bridge);
  slack.person("Ada").say(slack.general, "@Coze well?", { thread: root });
  const turn = await asked(bridge, 1);
  slack.faults.plan("POST /api/conversations.replies", fault);
  const found = await adapter.complete?.(turn, { signal });
  expect(found).toMatchObject({ asker: { name: "Ada" } });
  expect(found).not.toHaveProperty("quote");
});
