import { expect, it } from "vitest";
import { takeSignDown, WaitingSigns } from "../../src/core/waiting-signs.ts";
import { createLog } from "../../src/log.ts";
import { aTurn } from "../make.ts";
import { MemoryPlatform, MemoryStore } from "./platform-double.ts";
import { VirtualClock } from "./virtual-clock.ts";

class SignPlatform extends MemoryPlatform {
  readonly signs: boolean[] = [];
  onSign: () => void = () => undefined;

  override showWaiting(_turn?: unknown, waiting = false): Promise<void> {
    this.signs.push(waiting);
    this.onSign();
    return Promise.resolve();
  }
}

function aScene() {
  const clock = new VirtualClock();
  const platform = new SignPlatform();
  const waiting = { now: true };
  const parts = {
    queue: { isWaiting: () => Promise.resolve(waiting.now) },
    store: new MemoryStore(),
    log: createLog({ level: "silent", secrets: [] }),
    adapterOf: () => platform,
    after: (ms: number, call: () => void) => clock.after(ms, call),
  };
  return { clock, platform, waiting, parts, signs: new WaitingSigns(parts) };
}
const signal = new AbortController().signal;

it("shows nothing at a turn that started within five seconds", async () => {
  const { clock, platform, waiting, parts, signs } = aScene();
  signs.watch(aTurn(), "1");
  waiting.now = false;
  await clock.advance(6_000);
  await takeSignDown(aTurn(), parts, signal);
  expect(platform.signs).toEqual([]);
});

it("shows that a turn waits, and leaves no trace when it is taken", async () => {
  const { clock, platform, waiting, parts, signs } = aScene();
  signs.watch(aTurn(), "1");
  await clock.advance(4_999);
  expect(platform.signs).toEqual([]);
  await clock.advance(1);
  await expect.poll(() => platform.signs).toEqual([true]);
  waiting.now = false;
  await takeSignDown(aTurn(), parts, signal);
  await takeSignDown(aTurn(), parts, signal);
  expect(platform.signs).toEqual([true, false]);
});

it("takes the sign down itself when the turn was taken while it went up", async () => {
  const { clock, platform, waiting, signs } = aScene();
  platform.onSign = () => {
    waiting.now = false;
  };
  signs.watch(aTurn(), "1");
  await clock.advance(5_000);
  await expect.poll(() => platform.signs).toEqual([true, false]);
});

it("leaves no timer behind", async () => {
  const { clock, platform, signs } = aScene();
  signs.watch(aTurn(), "1");
  await signs[Symbol.asyncDispose]();
  expect(clock.pending).toBe(0);
  signs.watch(aTurn(), "2");
  await clock.advance(10_000);
  expect(platform.signs).toEqual([]);
});
