import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { loopUse } from "../src/clock.ts";

/** Keeps the event loop from going on. */
function workFor(ms: number): void {
  for (const since = performance.now(); performance.now() - since < ms; );
}

it("tells how much of the time since the last look the event loop worked", async () => {
  const use = loopUse();
  await sleep(200);
  expect(use()).toBeLessThan(1);
  workFor(5);
  // The loop has not waited since.
  expect(use()).toBe(1);
});
