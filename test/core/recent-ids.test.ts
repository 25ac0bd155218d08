import { expect, it } from "vitest";
import { RecentIds } from "../../src/core/recent-ids.ts";

it("knows the newest thousand ids, and those that were named again", () => {
  const ids = new RecentIds();
  for (let id = 0; id < 1_000; id += 1) ids.add(String(id));
  ids.add("0");
  ids.add("new");
  expect([ids.has("0"), ids.has("1"), ids.has("2"), ids.has("new")]).toEqual([true, false, true, true]);
});

it("knows none any more once it was cleared", () => {
  const ids = new RecentIds();
  ids.add("1");
  ids.clear();
  expect(ids.has("1")).toBe(false);
});
