import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { Store } from "../../src/core/ports.ts";

/** The data of a store, which outlives the processes that open it. */
export interface StoreBackend extends AsyncDisposable {
  readonly store: Store;
  /** Closes and opens it, as a new process would. */
  reopen(): Promise<void>;
}

/** What every {@link Store} promises. */
export function describeStoreContract(name: string, startBackend: () => Promise<StoreBackend>): void {
  describe(`store contract: ${name}`, () => {
    it.each<Json>([null, false, 0, "", "界 \u0000 😀", [], {}, { a: [1, { b: null }], "": "empty key" }])(
      "gives back %j as it was, also after a restart",
      async (value) => {
        await using backend = await startBackend();
        expect(await backend.store.set("space", "key", value)).toBe(true);
        expect(await backend.store.get("space", "key")).toEqual(value);
        await backend.reopen();
        expect(await backend.store.get("space", "key")).toEqual(value);
      },
    );

    it("keeps what need not be synced over a restart, too", async () => {
      await using backend = await startBackend();
      expect(await backend.store.set("s", "k", 1, { synced: false })).toBe(true);
      await backend.reopen();
      expect(await backend.store.get("s", "k")).toBe(1);
    });

    it("knows nothing that was not set, and keeps spaces apart", async () => {
      await using backend = await startBackend();
      await backend.store.set("a", "b:c", 1);
      expect(await backend.store.get("a:b", "c")).toBeUndefined();
      expect(await backend.store.get("a", "b")).toBeUndefined();
    });

    it("replaces a value, and forgets the old one's expiry", async () => {
      await using backend = await startBackend();
      await backend.store.set("s", "k", 1, { ttlMs: 30 });
      await backend.store.set("s", "k", 2);
      await backend.store.set("s", "witness", 1, { ttlMs: 60 });
      await expect.poll(() => backend.store.get("s", "witness")).toBeUndefined();
      expect(await backend.store.get("s", "k")).toBe(2);
    });

    it("forgets a value after its time", async () => {
      await using backend = await startBackend();
      await backend.store.set("s", "k", 1, { ttlMs: 50 });
      expect(await backend.store.get("s", "k")).toBe(1);
      await expect.poll(() => backend.store.get("s", "k")).toBeUndefined();
      expect(await backend.store.delete("s", "k")).toBe(false);
      expect(await Array.fromAsync(backend.store.list("s"))).toEqual([]);
    });

    it("writes only where nothing is, when asked: of many at once, one wins", async () => {
      await using backend = await startBackend();
      const { store } = backend;
      const won = await Promise.all([1, 2, 3].map((value) => store.set("s", "k", value, { ifAbsent: true })));
      expect(won.filter(Boolean).length).toBe(1);
      expect(await store.get("s", "k")).toBe(won.indexOf(true) + 1);
      expect(await store.set("s", "k", 9, { ifAbsent: true, ttlMs: 1_000 })).toBe(false);
    });

    it("takes an expired value for absent", async () => {
      await using backend = await startBackend();
      await backend.store.set("s", "k", 1, { ttlMs: 20 });
      await expect.poll(() => backend.store.set("s", "k", 2, { ifAbsent: true })).toBe(true);
      expect(await backend.store.get("s", "k")).toBe(2);
    });

    it("deletes, and says whether there was something", async () => {
      await using backend = await startBackend();
      await backend.store.set("s", "k", null);
      expect(await backend.store.delete("s", "k")).toBe(true);
      expect(await backend.store.delete("s", "k")).toBe(false);
      expect(await backend.store.get("s", "k")).toBeUndefined();
    });

    it("lists a space, each key once, also while it is written to", async () => {
      await using backend = await startBackend();
      const keys = Array.from({ length: 450 }, (_, index) => `k${String(index).padStart(4, "0")}`);
      await Promise.all(keys.map((key) => backend.store.set("s", key, key)));
      await backend.store.set("other", "k", 1);
      const listed: string[] = [];
      for await (const [key, value] of backend.store.list("s")) {
        expect(value).toBe(key);
        listed.push(key);
        if (listed.length === 100) await backend.store.set("s", key, key);
      }
      expect(listed.toSorted()).toEqual(keys);
    });
  });
}
