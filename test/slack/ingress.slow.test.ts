import { it } from "vitest";
import { openBridge, SOON } from "./bridge.ts";

it.concurrent("§14.10 gives up a socket that is not greeted, and opens another", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.sockets.withholdHellos = 1;
  slack.sockets.dropAll();
  await expect.poll(() => slack.sockets.greeted).toBe(2);
  slack.person("Ada").dm("hello");
  await expect.poll(() => bridge.turns.length, SOON).toBe(1);
});

it.concurrent("§14.11 replaces a socket whose other side is silently gone", async ({ expect }) => {
  await using bridge = await openBridge();
  const { slack } = bridge;
  slack.sockets.freeze();
  await expect.poll(() => slack.sockets.greeted, { timeout: 60_000 }).toBe(2);
  slack.person("Ada").dm("hello");
  await expect.poll(() => bridge.turns.length).toBeGreaterThanOrEqual(1);
});
