import { expect, it } from "vitest";
import { createSqliteStore } from "../../src/store/sqlite-store.ts";
import { describeStoreContract, type StoreBackend } from "../contract/store-contract.ts";
import { makeTestFolder, openTestFile } from "../queue/embedded.ts";

describeStoreContract("sqlite", startSqliteBackend);

async function startSqliteBackend(): Promise<StoreBackend> {
  const folder = await makeTestFolder();
  let file = await openTestFile(folder.path);
  let store = createSqliteStore(file);
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await file[Symbol.asyncDispose]();
      file = await openTestFile(folder.path);
      store = createSqliteStore(file);
    },
    [Symbol.asyncDispose]: async () => {
      await file[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

it("takes an expired value for absent even before it is swept away, and sweeps a few with every write", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  let now = 1_000;
  const store = createSqliteStore(file, () => now);
  const rows = (): unknown => file.prepare("SELECT count(*) AS n FROM kv").get()?.["n"];
  for (let index = 0; index < 20; index += 1)
    await store.set("s", `old${index}`, index, { ttlMs: 10 + index });
  now = 2_000;
  expect(await store.set("s", "old19", "new", { ifAbsent: true })).toBe(true);
  expect(await store.get("s", "old19")).toBe("new");
  expect(await store.get("s", "old18")).toBeUndefined();
  expect(rows()).toBe(16);
  for (let index = 0; index < 10; index += 1) await store.set("s", "other", index);
  expect(rows()).toBe(2);
});

it("deletes what expires at once, and waits for the disk only where something was to stay", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const store = createSqliteStore(file);
  const rows = (): unknown => file.prepare("SELECT key FROM kv").all();
  await store.set("s", "passing", 1, { ttlMs: 60_000 });
  await store.set("s", "lasting", 1);
  const deleted = [store.delete("s", "passing"), store.delete("s", "lasting")];
  // What goes to the disk goes at the end of this turn of the loop.
  expect(rows()).toEqual([{ key: "lasting" }]);
  expect(await Promise.all(deleted)).toEqual([true, true]);
  expect(rows()).toEqual([]);
});

it("has at once what need not be synced", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const store = createSqliteStore(file);
  const written = [store.set("s", "quick", 1, { synced: false }), store.set("s", "synced", 1)];
  expect([await store.get("s", "quick"), await store.get("s", "synced")]).toEqual([1, undefined]);
  await Promise.all(written);
  expect(await store.get("s", "synced")).toBe(1);
});
