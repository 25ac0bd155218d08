import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { it, vi } from "vitest";
import { renderParts } from "../../adapters/slack/render.ts";
import type { SlackStandIn } from "../../sandbox/slack/slack-stand-in.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON, toTurn } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

/** A bridge with one question waiting for its answer, in the app's DM or in a channel. */
async function asked(
  where: "dm" | "channel",
  options: BridgeOptions = {},
): Promise<SlackBridge & { place: string; question: string }> {
  const bridge = await openBridge({ ...options, slack: { echo: false, ...options.slack } });
  const { slack } = bridge;
  const ada = slack.person("Ada");
  const said = where === "dm" ? ada.dm("question?") : ada.say(slack.general, "@Coze question?");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  return Object.assign(bridge, { place: said.channel, question: said.ts });
}

/** What the bot shows in a place, oldest first. */
function shown({ slack, place }: { slack: SlackStandIn; place: string }): readonly string[] {
  return slack
    .view(place)
    .messages.filter(({ bot }) => bot)
    .map(({ text }) => text);
}

const START = "POST /api/chat.startStream";
const APPEND = "POST /api/chat.appendStream";
const STOP = "POST /api/chat.stopStream";

/** Lets the stream show a text before the test goes on. */
async function showUntilThere(
  bridge: SlackBridge & { place: string },
  reply: { show(content: { answer: ReturnType<typeof answer> }): void },
  text: string,
): Promise<void> {
  reply.show({ answer: answer(text) });
  await vi.waitUntil(() => shown(bridge).join("\n").includes(text.slice(-10)), SOON);
}

it.concurrent("§14.29 makes no second message when Slack's answer to a start is lost", async ({ expect }) => {
  await using bridge = await asked("dm");
  bridge.slack.faults.plan(START, { do: "commit-then-reset" });
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once") });
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(bridge.slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
});

it.concurrent("§14.29 makes no second message when Slack's answer to a post is lost", async ({ expect }) => {
  await using bridge = await asked("channel");
  bridge.slack.faults.plan("POST /api/chat.postMessage", { do: "commit-then-reset" });
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once") });
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
});

it.concurrent("§14.31 never has two stream calls under way", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  slack.faults.plan(/Stream$/, { do: "delay", ms: 40 }, 3);
  const { reply } = await bridge.reply();
  for (const text of ["a", "ab", "abc", "abcd", "abcde"]) reply.show({ answer: answer(text) });
  await reply.finish({ answer: answer("abcdef") });
  expect(shown(bridge)).toEqual(["abcdef"]);
  expect(callsOf(slack, "chat.startStream")).toHaveLength(1);
});

it.concurrent("§14.32 goes on in a new stream when Slack ended the old one, with the fence open again", async ({
  expect,
}) => {
  const clock = new VirtualClock(1_767_225_600_000);
  await using bridge = await asked("dm", { slack: { clock, limits: false, ackTimeoutMs: 1e9, echo: false } });
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Code:\n\n```ts\nconst first_line = 1;\n");
  clock.advance(307_000);
  await reply.finish({ answer: answer("Code:\n\n```ts\nconst first_line = 1;\nconst second = 2;\n```\n") });
  const [first, second, ...rest] = shown(bridge);
  expect(first).toBe("Code:\n\n```ts\nconst first_line = 1;\n");
  expect(second).toBe("```ts\nconst second = 2;\n```\n");
  expect(rest).toEqual([]);
});

it.concurrent("§14.33 shows 30,000 Chinese characters in streams of at most 11,000 bytes each", async ({
  expect,
}) => {
  await using bridge = await asked("dm", { slack: { limits: false }, settings: { maxReplyParts: 20 } });
  const { slack } = bridge;
  const paragraph = "很久以前，有一座桥。".repeat(40);
  const text = Array.from({ length: 75 }, (_, index) => `${index}：${paragraph}`).join("\n\n");
  expect(text.length).toBeGreaterThan(30_000);
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer(text) });
  const messages = shown(bridge);
  expect(messages.length).toBeGreaterThan(8);
  for (const message of messages) expect(Buffer.byteLength(message)).toBeLessThanOrEqual(11_000);
  expect(messages.join("")).toBe(text);
  expect(slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
  const refused = slack.traffic.exchanges.filter(
    ({ response }) => (response as { ok?: boolean })?.ok === false,
  );
  expect(refused).toEqual([]);
});

it.concurrent("§14.34 puts the text right when the stop says that the stream is over", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  slack.faults.plan(STOP, { do: "commit-then-reset" });
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer("The whole answer."), notice: "A notice." });
  expect(shown(bridge)).toEqual([expect.stringMatching(/^The whole answer\.\n\n_A notice\._$/)]);
});

it.concurrent("§14.35 sends no more after the asker pressed stop", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  slack.stopStreams(bridge.place);
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon"]);
  expect(callsOf(slack, "chat.update")).toEqual([]);
});

it.concurrent("§14.37 stops a stream that an earlier process left, and finishes the same message", async ({
  expect,
}) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply, saves } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  await expect.poll(() => saves.length).toBeGreaterThan(0);
  const turn = bridge.turns[0];
  // The second process knows only what was saved. Its stop gets lost, so Slack refuses the edit at first.
  slack.faults.plan(STOP, { do: "answer", status: 200, body: { ok: false, error: "internal_error" } });
  const again = await bridge.reply(turn, saves.at(-1));
  await again.reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
});

it.concurrent.for([
  ["in the middle of it", APPEND],
  ["at its start", START],
] as const)(
  "goes on by edits where Slack does not take the text of a stream, %s",
  async ([, call], { expect }) => {
    await using bridge = await asked("dm");
    const { reply } = await bridge.reply();
    const body = { ok: false, error: "msg_blocks_too_long" };
    bridge.slack.faults.plan(call, { do: "answer", status: 200, body }, 3);
    // Nor does it let the stream end, the first time.
    bridge.slack.faults.plan(STOP, { do: "answer", status: 200, body: { ok: false, error: "not_this_way" } });
    await showUntilThere(bridge, reply, "Once");
    reply.show({ answer: answer("Once upon a") });
    await expect.poll(() => shown(bridge)).toEqual(["Once upon a"]);
    await reply.finish({ answer: answer("Once upon a time.") });
    expect(shown(bridge)).toEqual(["Once upon a time."]);
    expect(bridge.slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
    expect(callsOf(bridge.slack, "chat.appendStream").length).toBeLessThanOrEqual(1);
  },
);

const POST = "POST /api/chat.postMessage";

it.concurrent("says below the question that Slack does not take the answer", async ({ expect }) => {
  await using bridge = await asked("channel");
  const body = { ok: false, error: "invalid_metadata_format" };
  bridge.slack.faults.plan(POST, { do: "answer", status: 200, body });
  const { reply } = await bridge.reply();
  await expect(reply.finish({ answer: answer("Once.") })).rejects.toMatchObject({
    code: "PLATFORM_REJECTED",
  });
  expect(shown(bridge)).toEqual([expect.stringMatching(/^The answer could not be shown here\. \(\w+\)$/)]);
});

it.concurrent("says in their DM where the bot may not write any more", async ({ expect }) => {
  await using bridge = await asked("channel");
  const { slack, place } = bridge;
  const body = { ok: false, error: "restricted_action_read_only_channel" };
  slack.faults.plan(POST, { do: "answer", status: 200, body }, 2);
  const over: unknown[] = [];
  const { reply } = await bridge.reply(undefined, undefined, { onOver: (error) => void over.push(error) });
  reply.show({ answer: answer("Once") });
  await expect.poll(() => over).toMatchObject([{ code: "PLATFORM_PERMISSION" }]);
  await expect(reply.finish({ answer: answer("Once.") })).rejects.toMatchObject({
    code: "PLATFORM_PERMISSION",
  });
  expect(shown(bridge)).toEqual([]);
  const dm = slack.workspace.dmWith(slack.person("Ada").id).id;
  const told = slack.view(dm).messages.map(({ text }) => text);
  expect(told).toEqual([expect.stringContaining(`In <#${place}>: The bridge lacks a permission here.`)]);
  expect(slack.view(place).status).toBe("");
});

it.concurrent.for(["channel", "dm"] as const)(
  "keeps half an answer that a later start has none of, and says below what became of it, %s",
  async (where, { expect }) => {
    await using bridge = await asked(where);
    const { reply, saves } = await bridge.reply();
    await showUntilThere(bridge, reply, "Half of it");
    await reply.abandon();
    const failed = { answer: answer(""), notice: "Sorry." };
    const again = await bridge.reply(bridge.turns[0], saves.at(-1));
    await again.reply.finish(failed);
    expect(shown(bridge)).toEqual(["Half of it", "_Sorry._"]);
    // Killed before it had saved the message it made: what history shows is known by what was saved before.
    const other = await bridge.reply(
      bridge.turns[0],
      again.saves.find((state) => "kept" in (state as object)),
    );
    await other.reply.finish(failed);
    expect(shown(bridge)).toEqual(["Half of it", "_Sorry._"]);
    const redo = await bridge.reply(bridge.turns[0], undefined, { earlier: again.saves.at(-1) ?? null });
    await redo.reply.finish(failed);
    expect(shown(bridge)).toEqual(["_Sorry._"]);
  },
);

it.concurrent("does not let the last text of a stream wait for the pace", async ({ expect }) => {
  // On a clock that stands still no interim append is ever due; the last one needs no gap.
  await using bridge = await asked("dm", { now: () => 0 });
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once");
  reply.show({ answer: answer("Once upon") });
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(callsOf(bridge.slack, "chat.appendStream")).toHaveLength(1);
});

it.concurrent("streams in channels where the operator wants it; others see it once it is complete", async ({
  expect,
}) => {
  await using bridge = await asked("channel", { settings: { channelStyle: "native" } });
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once");
  await showUntilThere(bridge, reply, "Once upon a time");
  const bob = slack.person("Bob").id;
  expect(slack.view(slack.general, bob).messages.at(-1)?.text).toBe("Once");
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(slack.view(slack.general, bob).messages.at(-1)?.text).toBe("Once upon a time.");
});

it.concurrent("stops what an earlier process left streaming before it edits", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply, saves } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  // On screen comes before saved.
  await expect.poll(() => saves.length).toBeGreaterThan(0);
  const again = await bridge.reply(bridge.turns[0], saves.at(-1));
  await again.reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(JSON.stringify(slack.traffic.exchanges)).not.toContain("streaming_state_conflict");
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

it.concurrent("does not start a second stream in a process that goes on with a reply", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply, saves } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  // On screen comes before saved.
  await expect.poll(() => saves.length).toBeGreaterThan(0);
  const again = await bridge.reply(bridge.turns[0], saves.at(-1));
  again.reply.show({ answer: answer("Once upon a") });
  await again.reply.finish({ answer: answer("Once upon a time.") });
  expect(callsOf(slack, "chat.startStream")).toHaveLength(1);
});

it.concurrent.for([
  "unknown_method",
  "channel_type_not_supported",
  "missing_recipient_team_id",
  "feature_not_enabled",
])("§14.38 falls back to edits when a stream cannot start: %s", async (error, { expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  slack.faults.plan(START, { do: "answer", status: 200, body: { ok: false, error } });
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("Once") });
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  // What the workspace lacks is not tried again; what one place lacks may work in another.
  const next = await bridge.reply();
  await next.reply.finish({ answer: answer("More.") });
  const latched = error === "unknown_method" || error === "feature_not_enabled";
  expect(callsOf(slack, "chat.startStream")).toHaveLength(latched ? 1 : 2);
});

it.concurrent("§14.39 §14.40 waits as long as Slack says, sends what is newest then, and holds up nobody else", async ({
  expect,
}) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once");
  slack.faults.plan(APPEND, {
    do: "answer",
    status: 429,
    body: { ok: false, error: "ratelimited" },
    headers: { "retry-after": "1" },
  });
  reply.show({ answer: answer("Once upon") });
  await expect.poll(() => slack.traffic.exchanges.some(({ status }) => status === 429), SOON).toBe(true);
  slack.person("Bob").say(slack.general, "@Coze quick one");
  await expect.poll(() => bridge.turns.length, SOON).toBe(2);
  const other = await bridge.reply();
  await other.reply.finish({ answer: answer("Quick.") });
  expect(slack.view(slack.general).messages.at(-1)?.text).toBe("Quick.");
  expect(shown(bridge)).toEqual(["Once"]);
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(callsOf(slack, "chat.appendStream").length).toBeLessThanOrEqual(3);
});

it.concurrent.for([
  ["429 without Retry-After", { do: "answer", status: 429, body: { ok: false, error: "ratelimited" } }],
  ["200 with ratelimited", { do: "answer", status: 200, body: { ok: false, error: "ratelimited" } }],
  ["503 with a page", { do: "answer", status: 503, body: "<html>busy</html>" }],
  ["a reset connection", { do: "reset" }],
] as const)("§14.40 delivers the final text through %s", async ([_what, fault], { expect }) => {
  for (const where of ["dm", "channel"] as const) {
    await using bridge = await asked(where);
    bridge.slack.faults.plan(where === "dm" ? APPEND : "POST /api/chat.update", fault);
    const { reply } = await bridge.reply();
    await showUntilThere(bridge, reply, "Once");
    await reply.finish({ answer: answer("Once upon a time.") });
    expect(shown(bridge)).toEqual(["Once upon a time."]);
  }
});

it.concurrent("replaces the streamed text once when Coze's last word is another one", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Draft of an answer");
  await reply.finish({ answer: answer("The answer.") });
  expect(shown(bridge)).toEqual(["The answer."]);
  expect(callsOf(slack, "chat.update")).toHaveLength(1);
});

const SAMPLES = join(import.meta.dirname, "../fixtures/markdown");

it.concurrent("streams answers of every kind as they would be posted, and edits none", async ({ expect }) => {
  // Appended as soon as something is certain: the clock goes fast.
  await using bridge = await asked("dm", { slack: { limits: false }, speed: 100 });
  const { slack } = bridge;
  const names = readdirSync(SAMPLES).filter((file) => file.endsWith(".md"));
  for (const name of names.filter((_, index) => index % 3 === 0)) {
    const text = readFileSync(join(SAMPLES, name), "utf8");
    const before = shown(bridge).length;
    const { reply } = await bridge.reply();
    for (let length = 1; length < text.length; length += 4) {
      reply.show({ answer: answer(text.slice(0, length)) });
      await sleep(1);
    }
    await reply.finish({ answer: answer(text) });
    const posted = renderParts({ answer: answer(text) }, { final: true, locale: "en" });
    const texts = posted.map(({ blocks: [first] }) => (first as { readonly text: string }).text);
    const streamed = shown(bridge).slice(before).join("").trim();
    expect(streamed, name).toBe(asSeen(texts.join("")).trim());
  }
  expect(callsOf(slack, "chat.update")).toEqual([]);
  expect(callsOf(slack, "chat.appendStream").length).toBeGreaterThan(60);
  expect(slackViolations(slack.traffic.exchanges)).toEqual([]);
});

/** As the view has it: entities as characters. */
function asSeen(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

it.concurrent("§14.42 keeps every message within Slack's limits, in both styles", async ({ expect }) => {
  const line = "x".repeat(20_000);
  for (const where of ["dm", "channel"] as const) {
    await using bridge = await asked(where, { slack: { limits: false } });
    const { reply } = await bridge.reply();
    await reply.finish({ answer: answer(`${line}\n\n${"y ".repeat(6_000)}`) });
    expect(shown(bridge).join("").replaceAll(/\s/g, "")).toBe(line + "y".repeat(6_000));
    expect(slackViolations(bridge.slack.traffic.exchanges)).toEqual([]);
  }
});

it.concurrent("§14.43 shows a table as plain text where Slack refuses it", async ({ expect }) => {
  await using bridge = await asked("channel", { slack: { switches: { refuseTables: true } } });
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer("| a | b |\n|---|---|\n| 1 | 2 |\n") });
  expect(shown(bridge).join()).toContain("| 1 | 2 |");
  expect(callsOf(bridge.slack, "chat.postMessage")).toHaveLength(2);
});

it.concurrent("§14.43 fills the empty cells of a table, and makes text of a second one", async ({
  expect,
}) => {
  await using bridge = await asked("channel");
  const { reply } = await bridge.reply();
  const table = "| a | b |\n|---|---|\n| 1 | |\n";
  await reply.finish({ answer: answer(`${table}\n${table}`) });
  expect(shown(bridge).join()).toBe("| a | b |\n| --- | --- |\n| 1 | – |\n\n```\na  b\n-  -\n1\n```");
  expect(callsOf(bridge.slack, "chat.postMessage")).toHaveLength(1);
});

it.concurrent("§14.43 gives each stream a table of its own, also where it begins with one", async ({
  expect,
}) => {
  await using bridge = await asked("dm", { slack: { limits: false } });
  const { reply } = await bridge.reply();
  const table = "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n";
  const words = `${"word ".repeat(40)}\n\n`.repeat(46);
  const text = `${table}${words}${table}The end.`;
  await showUntilThere(bridge, reply, `${table}${words}`);
  await reply.finish({ answer: answer(text) });
  expect(shown(bridge).map((message) => message.split("| a | b |").length - 1)).toEqual([1, 1]);
  expect(shown(bridge).join("").trim()).toBe(text.trim());
  expect(callsOf(bridge.slack, "chat.update")).toEqual([]);
});

it.concurrent("§14.44 ends when somebody removed its message, and posts no other", async ({ expect }) => {
  await using bridge = await asked("channel");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "The first words of it");
  const ours = slack.view(bridge.place).messages.find(({ bot }) => bot);
  slack.workspace.channels.get(bridge.place)?.messages.delete(ours?.id ?? "");
  await expect(reply.finish({ answer: answer("The whole of it.") })).rejects.toMatchObject({
    code: "PLATFORM_GONE",
  });
  expect(shown(bridge)).toEqual([]);
  expect(callsOf(slack, "chat.postMessage")).toHaveLength(1);
});

it.concurrent("§14.45 lets no token through, wherever the deltas cut it", async ({ expect }) => {
  for (const where of ["channel", "dm"] as const) {
    await using bridge = await asked(where, { slack: { limits: false } });
    const { slack } = bridge;
    const text =
      "To <!channel> and <@U0STRANGER1>, <https://a.example|b> &lt;!here&gt; \u{1F469}\u200D\u{1F4BB}\r\nend";
    const { reply } = await bridge.reply();
    for (let length = 1; length <= text.length; length += 1) {
      reply.show({ answer: answer(text.slice(0, length)) });
      // One microtask per delta: the writer sees some of them, at any border.
      await Promise.resolve();
    }
    await reply.finish({ answer: answer(text) });
    const written = slack.traffic.exchanges.filter(({ name }) => name.startsWith("POST /api/chat."));
    expect(written.length).toBeGreaterThan(0);
    for (const { request } of written) expect(JSON.stringify(request)).not.toMatch(/<!|<@U0STRANGER1/);
    expect(shown(bridge).join("")).toContain("end");
  }
});

it.concurrent("§14.46 shows 8,000 characters with fences whole in a channel", async ({ expect }) => {
  await using bridge = await asked("channel");
  const code = Array.from({ length: 100 }, (_, index) => `const value_${index} = ${index};`).join("\n");
  const text = Array.from({ length: 3 }, () => `Text.\n\n\`\`\`ts\n${code}\n\`\`\``).join("\n\n");
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer(text) });
  expect(shown(bridge).join("\n").replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
});

it.concurrent("§14.47 says a sentence when there is nothing to show", async ({ expect }) => {
  for (const where of ["dm", "channel"] as const) {
    await using bridge = await asked(where);
    const { reply } = await bridge.reply();
    await reply.finish({ answer: answer(" \n") });
    expect(shown(bridge)).toEqual(["_The bot had nothing to say to this._"]);
  }
});

it.concurrent("§14.48 keeps half an answer, with the notice below it", async ({ expect }) => {
  for (const where of ["dm", "channel"] as const) {
    await using bridge = await asked(where);
    const { reply } = await bridge.reply();
    await showUntilThere(bridge, reply, "Half an answer");
    await reply.finish({ answer: answer("Half an answer"), notice: "The connection broke. (K7Q2FM)" });
    expect(shown(bridge)).toEqual(["Half an answer\n\n_The connection broke. (K7Q2FM)_"]);
  }
});

it.concurrent("shows a status until the first text, and takes it away when the reply is given up", async ({
  expect,
}) => {
  await using bridge = await asked("channel");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await expect.poll(() => slack.view(slack.general).status, SOON).toBe("is thinking…");
  await reply.abandon();
  expect(slack.view(slack.general).status).toBe("");
});

it.concurrent("leaves a stream at once, however long Slack wants to hear nothing", async ({ expect }) => {
  await using bridge = await asked("dm");
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon a time");
  slack.faults.plan(APPEND, { do: "answer", status: 429, headers: { "retry-after": "600" } });
  reply.show({ answer: answer("Once upon a time there was") });
  const refused = (): boolean =>
    slack.traffic.exchanges.some(({ name, status }) => name === APPEND && status === 429);
  await vi.waitUntil(refused, SOON);
  reply.show({ answer: answer("Once upon a time there was a bridge") });
  await reply.abandon();
  expect(shown(bridge)).toEqual(["Once upon a time"]);
});

it.concurrent("edits the messages of an earlier attempt instead of posting them again", async ({
  expect,
}) => {
  await using bridge = await asked("channel");
  const { slack } = bridge;
  const { reply, saves } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  await reply.abandon();
  const other = await bridge.openAnother();
  const turn = toTurn(bridge.turns[0]);
  const again = await other.openReply(turn, {
    saved: saves.at(-1),
    earlier: undefined,
    onOver: () => undefined,
    again: true,
    save: () => Promise.resolve(),
    signal: bridge.signal,
  });
  await again.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(callsOf(slack, "chat.postMessage")).toHaveLength(1);
});

it.concurrent("writes the last state of a stream though its drafts were refused for long", async ({
  expect,
}) => {
  await using bridge = await asked("dm", { speed: 50 });
  const { slack } = bridge;
  const { reply } = await bridge.reply();
  await showUntilThere(bridge, reply, "Once upon");
  slack.faults.plan(APPEND, { do: "answer", status: 429, headers: { "retry-after": "1" } }, 8);
  reply.show({ answer: answer("Once upon a time") });
  await reply.finish({ answer: answer("Once upon a time.") });
  expect(shown(bridge)).toEqual(["Once upon a time."]);
  expect(slack.view(bridge.place).messages.some(({ unfinished }) => unfinished)).toBe(false);
});
