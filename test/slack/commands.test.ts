import { expect, it } from "vitest";
import { answer, callsOf, openBridge, SOON } from "./bridge.ts";

it("posts a command's question, and answers in its thread", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.slash(slack.general, "what is <!channel> & a bridge?");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply, saves } = await bridge.reply();
  const { messageKeys } = await reply.finish({ answer: answer("A way over.") });
  const messages = slack.view(slack.general).messages.filter(({ ephemeral }) => ephemeral !== true);
  expect(messages.map(({ text }) => text)).toEqual([
    "@Ada asked:\n> what is <!channel> & a bridge?",
    "A way over.",
  ]);
  expect(messages[1]?.parent).toBe(messages[0]?.id);
  expect(messageKeys[0]).toBe(`slack:${slack.general}:${messages[0]?.id}`);
  expect(callsOf(slack, "chat.postMessage")[0]?.["text"]).not.toContain("<!");
  // Another attempt finds the question posted.
  await (await bridge.reply(undefined, saves.at(-1))).reply.finish({ answer: answer("A way over.") });
  expect(slack.view(slack.general).messages.filter(({ text }) => text.includes("asked"))).toHaveLength(1);
});

it("tells the sender at once that a command is worked on", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.person("Ada").slash(slack.general, "hello");
  await expect.poll(() => slack.view(slack.general).messages.at(0)?.text, SOON).toBe("Working on it…");
  expect(slack.view(slack.general).messages[0]?.ephemeral).toBe(true);
});

it("tells who sends a command without a question what to do", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.person("Ada").slash(slack.general, " ");
  await expect.poll(() => slack.view(slack.general).messages.at(0)?.text, SOON).toContain("Ask me something");
  expect(bridge.turns).toEqual([]);
});

it("§14.53 answers a command of a private channel in the app's DM, with one pointer to it", async () => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  const ada = slack.person("Ada");
  ada.slash(slack.secret, "psst");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply } = await bridge.reply();
  await reply.finish({ answer: answer("I whisper.") });
  const dm = slack.workspace.dmWith(ada.id).id;
  expect(slack.view(dm).messages.map(({ text }) => text)).toEqual(["@Ada asked:\n> psst", "I whisper."]);
  const pointers = slack.view(slack.secret).messages.filter(({ text }) => text.includes("direct messages"));
  expect(pointers).toHaveLength(1);
  expect(pointers[0]?.ephemeral).toBe(true);
});

it("§14.53 answers only once, at the end, where it may not even write a DM", async () => {
  await using bridge = await openBridge({ slack: { scopes: ["chat:write", "commands"] } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.secret, "psst");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("I") });
  await reply.finish({ answer: answer("I whisper <!here>.\n\n".repeat(1_000)) });
  const texts = slack.view(slack.secret).messages.map(({ text }) => text);
  expect(texts.filter((text) => text.includes("I whisper"))).toHaveLength(4);
  expect(texts.at(-1)).toContain("too long for here");
});

it("§14.54 says that the place is gone when a response URL is used up or too old", async () => {
  await using bridge = await openBridge({ slack: { scopes: ["chat:write", "commands"] } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.secret, "psst");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  slack.faults.plan("POST /commands", { do: "answer", status: 404, body: "used_url" });
  const { reply } = await bridge.reply();
  await expect(reply.finish({ answer: answer("Too late.") })).rejects.toMatchObject({
    code: "PLATFORM_GONE",
  });
});

it("§14.54 goes on after the posts of an earlier start, and repeats at most the one that nobody knows of", async () => {
  await using bridge = await openBridge({ slack: { scopes: ["chat:write", "commands"] } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.secret, "psst");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  slack.faults.plan("POST /commands", { do: "commit-then-reset" }, 1, 1);
  const text = Array.from({ length: 2_000 }, (_, index) => `I whisper ${index}.`).join("\n\n");
  const content = { answer: answer(text) };
  const first = await bridge.reply();
  await expect(first.reply.finish(content)).rejects.toMatchObject({ retryable: true });
  const second = await bridge.reply(bridge.turns[0], first.saves.at(-1));
  await second.reply.finish(content);
  const texts = slack.view(slack.secret).messages.map(({ text }) => text);
  const posts = texts.filter((text) => text.includes("I whisper"));
  expect(posts).toHaveLength(5);
  expect(new Set(posts).size).toBe(4);
  expect(posts.at(-1)).toContain("too long for here");
});

it("§14.54 says what became of an answer that stands there in part", async () => {
  await using bridge = await openBridge({ slack: { scopes: ["chat:write", "commands"] } });
  const { slack } = bridge;
  slack.person("Ada").slash(slack.secret, "psst");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  const body = "away";
  slack.faults.plan("POST /commands", { do: "answer", status: 429, body }, 1, 1);
  const first = await bridge.reply();
  const text = Array.from({ length: 500 }, (_, index) => `I whisper ${index}.`).join("\n\n");
  await expect(first.reply.finish({ answer: answer(text) })).rejects.toMatchObject({ retryable: true });
  const second = await bridge.reply(bridge.turns[0], first.saves.at(-1));
  await second.reply.finish({ answer: answer(""), notice: "Sorry." });
  const texts = slack.view(slack.secret).messages.map((message) => message.text);
  expect(texts.at(-1)).toBe("_Sorry._");
});

it("§14.53 acknowledges a command in time though Slack says slowly who sent it", async () => {
  // Half of Slack's own time: the other half is for a slow queue.
  await using bridge = await openBridge({ slack: { ackTimeoutMs: 1_500 } });
  const { slack } = bridge;
  slack.faults.plan("POST /api/users.info", { do: "delay", ms: 2_400 });
  const startedAt = slack.traffic.exchanges.length;
  const { deliveries } = slack.person("Ada").slash(slack.general, "hello");
  await Promise.all(deliveries.map(({ done }) => done));
  const since = slack.traffic.exchanges.slice(startedAt);
  const [look] = since.filter(({ name }) => name.endsWith("users.info"));
  // Acknowledged before the look had its answer.
  expect(look).toBeUndefined();
  expect(deliveries.map(({ acked }) => acked)).toEqual([true]);
});

it("stores no response URL in the clear", async () => {
  await using bridge = await openBridge();
  bridge.slack.person("Ada").slash(bridge.slack.general, "hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
  expect(JSON.stringify(bridge.turns)).not.toContain("/commands/");
});
