import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { createLoopUse } from "../src/loop-use.ts";

/** Keeps the event loop from going on. */
function workFor(ms: number): void {
  for (const since = performance.now(); performance.now() - since < ms; );
}

it("tells how much of the time since the last look the event loop worked", async () => {
  const loopUse = createLoopUse();
  await sleep(200);
  expect(loopUse()).toBeLessThan(1);
  workFor(5);
  // The loop has not waited since.
  expect(loopUse()).toBe(1);
});
