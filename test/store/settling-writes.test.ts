import { describe, expect, it } from "vitest";
import { SettlingWrites } from "../../src/store/settling-writes.ts";

const SETTLED_MS = 10;

describe("what must not outlive what it vouches for", () => {
  it("is written once that is settled, and no more after that", () => {
    const writes = new SettlingWrites<number>(SETTLED_MS);
    writes.add("a", 1, 0);
    expect(writes.take(9)).toEqual([]);
    expect(writes.take(10)).toEqual([["a", 1]]);
    expect([writes.size, writes.take(100)]).toEqual([0, []]);
  });

  it("is not put off by what comes after it, of which only the newest is written", () => {
    const writes = new SettlingWrites<number>(SETTLED_MS);
    writes.add("a", 1, 0);
    writes.add("a", 2, 4);
    writes.add("a", 3, 8);
    expect(writes.get("a")).toBe(3);
    expect(writes.take(10)).toEqual([["a", 1]]);
    expect(writes.take(17)).toEqual([]);
    expect(writes.take(18)).toEqual([["a", 3]]);
    expect(writes.size).toBe(0);
  });

  it("is not written when something else was", () => {
    const writes = new SettlingWrites<number>(SETTLED_MS);
    writes.add("a", 1, 0);
    expect([writes.drop("a"), writes.drop("a")]).toEqual([true, false]);
    expect([writes.get("a"), writes.take(100)]).toEqual([undefined, []]);
  });

  it("is all taken at the end, the newest of each", () => {
    const writes = new SettlingWrites<number>(SETTLED_MS);
    writes.add("a", 1, 0);
    writes.add("b", 1, 0);
    writes.add("b", 2, 1);
    expect(writes.takeAll()).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(writes.size).toBe(0);
  });

  it("is left out where too much waits, the oldest first", () => {
    const writes = new SettlingWrites<number>(SETTLED_MS);
    for (let count = 0; count <= 10_000; count += 1) writes.add(`${count}`, count, count);
    expect(writes.size).toBe(10_000);
    expect([writes.get("0"), writes.get("1")]).toEqual([undefined, 1]);
  });
});
