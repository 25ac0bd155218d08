import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { expect, it } from "vitest";
import { startDiscord } from "../../sandbox/discord/start-discord.ts";
import { startSlack } from "../../sandbox/slack/slack-stand-in.ts";
import type { PlatformStandIn } from "../../sandbox/stand-in.ts";

const ONE_WAY_MS = 60;
/** Timers may come a little early by a finer clock. */
const AT_LEAST_MS = ONE_WAY_MS - 2;

/** How long a call was on its way, and its answer, in ms. */
async function waysOf(
  standIn: PlatformStandIn,
  url: string,
  { headers, body }: { headers: Record<string, string>; body: object },
): Promise<{ there: number; back: number }> {
  let seenAt = Number.NaN;
  standIn.onChange(() => {
    seenAt = performance.now();
  });
  const sentAt = performance.now();
  const json = { ...headers, "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers: json, body: JSON.stringify(body) });
  expect(response.ok).toBe(true);
  return { there: seenAt - sentAt, back: performance.now() - seenAt };
}

it("a call to Discord is on its way before it is seen, and its answer as long after", async () => {
  await using discord = await startDiscord({ oneWayMs: ONE_WAY_MS });
  const url = `${discord.apiUrl}/v10/channels/${discord.general}/messages`;
  const headers = {
    authorization: `Bot ${discord.token}`,
    "user-agent": "DiscordBot (https://example.org, 1.0)",
  };
  const { there, back } = await waysOf(discord, url, { headers, body: { content: "hello" } });
  expect(there).toBeGreaterThanOrEqual(AT_LEAST_MS);
  expect(back).toBeGreaterThanOrEqual(AT_LEAST_MS);
});

it("a new connection is on its way four times before it carries a call, and carries the next one at once", async () => {
  await using slack = await startSlack({ oneWayMs: ONE_WAY_MS });
  const agent = new Agent();
  const timeCall = async (): Promise<number> => {
    const sentAt = performance.now();
    const { body } = await request(`${slack.apiUrl}api.test`, { method: "POST", dispatcher: agent });
    await body.text();
    const tookMs = performance.now() - sentAt;
    // The connection is free once its client knows that, too.
    await sleep(ONE_WAY_MS);
    return tookMs;
  };
  const first = await timeCall();
  expect(first).toBeGreaterThanOrEqual(6 * AT_LEAST_MS);
  expect(await timeCall()).toBeLessThan(first - 3 * ONE_WAY_MS);
  await agent.close();
});

it("a call to Slack is on its way before it is seen, and its answer as long after", async () => {
  await using slack = await startSlack({ oneWayMs: ONE_WAY_MS });
  const headers = { authorization: `Bearer ${slack.botToken}` };
  const body = { channel: slack.general, text: "hello" };
  const { there, back } = await waysOf(slack, `${slack.apiUrl}chat.postMessage`, { headers, body });
  expect(there).toBeGreaterThanOrEqual(AT_LEAST_MS);
  expect(back).toBeGreaterThanOrEqual(AT_LEAST_MS);
});
