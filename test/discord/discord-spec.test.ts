import { expect, it } from "vitest";
import { startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { Exchange } from "../../sandbox/stand-in.ts";
import { MemoryStore } from "../core/platform-double.ts";
import { discordViolations } from "./discord-spec.ts";
import { answerOf, calls, openBridge, QUICK_TIME, toTurn } from "./harness.ts";

/** Everything that happens in a day, in a second. */
async function aBusyDay(): Promise<readonly Exchange[]> {
  // Three seconds of ours.
  await using discord = await startDiscord({ clock: QUICK_TIME, answerWithinMs: 30_000 });
  const store = new MemoryStore();
  await using bridge = await openBridge(discord, { clock: QUICK_TIME, store });
  const ada = discord.person("Ada");
  const thread = discord.addThread(discord.general, "Plans");
  const file = { name: "a.txt", bytes: new TextEncoder().encode("hello"), contentType: "text/plain" };
  ada.slash(discord.general, { question: "why?", file });
  ada.slash(ada.dmChannel, { question: "and here?" });
  ada.slash(discord.general, { question: "mine", userInstall: true });
  await expect.poll(() => calls(discord, /^POST \/interactions\//).length).toBe(3);
  ada.say(discord.general, "@Coze hi", { files: [file] });
  ada.say(thread, "@Coze hi there");
  ada.dm("hello", { files: [file] });
  ada.dm("", { stickers: ["wave"] });
  ada.dm("", { forward: { text: "look", files: [file] } });
  ada.dm("", { voice: file.bytes });
  ada.dm("");
  await expect.poll(() => bridge.turns.length).toBe(9);
  const { signal } = new AbortController();
  for (const turn of bridge.turns) {
    await bridge.adapter.showWaiting(toTurn(turn), true, { signal });
    await bridge.adapter.showWaiting(toTurn(turn), false, { signal });
    const reply = await bridge.reply(turn);
    reply.show({ answer: answerOf("One moment") });
    const shown = (): boolean =>
      [...discord.world.messages.values()].some(({ content }) => content === "One moment");
    await expect.poll(shown, { timeout: 10_000 }).toBe(true);
    await reply.finish({ answer: answerOf("Done.", true), notice: "a notice" });
  }
  discord.gateway.askToReconnect();
  await expect.poll(() => discord.traffic.exchanges.some(({ name }) => name === "RESUMED")).toBe(true);
  await expect.poll(() => discord.commands.length).toBe(1);
  await bridge[Symbol.asyncDispose]();
  ada.dm("while away", { files: [file] });
  discord.removeMessage(ada.dm("never mind"));
  ada.say(thread, "@Coze and here", { files: [file] });
  await using later = await openBridge(discord, { clock: QUICK_TIME, store });
  await expect.poll(() => later.turns).toHaveLength(2);
  return [...discord.traffic.exchanges];
}

it("speaks as Discord describes its API and its gateway, both ways", async () => {
  const exchanges = await aBusyDay();
  expect(discordViolations(exchanges)).toEqual([]);
  const kinds = new Set(exchanges.map(({ kind, name }) => `${kind} ${name.replaceAll(/\d{17,}/g, "{id}")}`));
  expect([...kinds]).toEqual(
    expect.arrayContaining([
      "http POST /channels/{id}/messages",
      "http PATCH /channels/{id}/messages/{id}",
      "http GET /channels/{id}/messages",
      "http PUT /channels/{id}/messages/{id}/reactions/⏳/@me",
      "http DELETE /channels/{id}/messages/{id}/reactions/⏳/@me",
      "http GET /gateway/bot",
      "received op 2",
      "received op 6",
      "sent READY",
      "sent GUILD_CREATE",
      "sent MESSAGE_CREATE",
      "sent MESSAGE_UPDATE",
      "sent INTERACTION_CREATE",
    ]),
  );
});

it.each<[string, Partial<Exchange>]>([
  [
    "a create whose nonce is an object",
    { kind: "http", name: "POST /channels/100000000000000001/messages", request: { nonce: {} } },
  ],
  [
    "an answer without author",
    {
      kind: "http",
      name: "POST /channels/100000000000000001/messages",
      request: { content: "a" },
      status: 200,
      response: { id: "1" },
    },
  ],
  ["a call nobody described", { kind: "http", name: "POST /channels/100000000000000001/shout", status: 200 }],
  [
    "a message without content",
    { kind: "sent", name: "MESSAGE_CREATE", request: { op: 0, d: { id: "1", channel_id: "2" } } },
  ],
  ["an identify without intents", { kind: "received", name: "op 2", request: { op: 2, d: { token: "t" } } }],
  [
    "a refusal without a code",
    { kind: "http", name: "GET /users/@me", status: 401, response: { message: "no" } },
  ],
])("notices %s", (_name, exchange) => {
  const whole: Exchange = { service: "discord", kind: "http", name: "", at: 0, ...exchange };
  expect(discordViolations([whole])).toHaveLength(1);
});
