import { expect, it } from "vitest";
import { AskedInThread } from "../../adapters/slack/asked-in-thread.ts";

const question = (index: number): Parameters<AskedInThread["add"]>[1] => ({
  dedupeKey: `key ${index}`,
  user: "U1",
  ts: `${index}.000100`,
});
const where = (index: number): Parameters<AskedInThread["add"]>[0] => ({ channel: "C1", thread: `${index}` });

it("knows the newest questions of a thread, each once", () => {
  const asked = new AskedInThread();
  for (let index = 0; index < 25; index += 1) asked.add(where(1), question(index));
  asked.add(where(1), question(24));
  expect(asked.of(where(1)).map(({ dedupeKey }) => dedupeKey)).toEqual(
    Array.from({ length: 20 }, (_, index) => `key ${index + 5}`),
  );
  expect(asked.of(where(2))).toEqual([]);
});

it("forgets the threads nobody asked in for longest", () => {
  const asked = new AskedInThread();
  for (let index = 0; index < 1_001; index += 1) asked.add(where(index), question(index));
  expect([asked.of(where(0)).length, asked.of(where(1)).length]).toEqual([0, 1]);
});
