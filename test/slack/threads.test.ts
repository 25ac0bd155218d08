import { expect, it } from "vitest";
import type { SlackContext } from "../../adapters/slack/slack-context.ts";
import { Threads } from "../../adapters/slack/threads.ts";
import { createLog } from "../../src/log.ts";
import { MemoryStore } from "../core/platform-double.ts";

it("follows a channel's thread rather than direct messages that nobody went on with", async () => {
  const log = createLog({ level: "silent", secrets: [] });
  // Where nobody asks Slack, nothing else of it is needed.
  const threads = new Threads({ log, tools: { store: new MemoryStore() } } as unknown as SlackContext);
  await threads.join("C1", "100.0", "110.0");
  for (const ts of ["120.0", "130.0", "140.0"]) await threads.join("D1", ts, ts);
  await threads.join("D1", "105.0", "115.0");
  const places = await threads.followed({ channels: 1, threads: 3 });
  expect(places.map(({ channel, thread }) => `${channel} ${thread}`)).toEqual([
    "D1 105.0",
    "C1 100.0",
    "D1 140.0",
  ]);
});
