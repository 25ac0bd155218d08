import { describe, expect, it } from "vitest";
import type { Leases } from "../../src/core/ports.ts";

/** Leases as one process has them. */
export interface LeaseBackend extends AsyncDisposable {
  readonly leases: Leases;
}

/** What all {@link Leases} promise a process that is alone. */
export function describeLeaseContract(name: string, startBackend: () => Promise<LeaseBackend>): void {
  const signal = AbortSignal.timeout(60_000);

  describe(`lease contract: ${name}`, () => {
    it("gives what nobody has, and again once it was given back", async () => {
      await using backend = await startBackend();
      const onTaken = (): void => expect.unreachable("nobody has it");
      for (let time = 0; time < 3; time += 1) {
        await using lease = await backend.leases.acquire("a", { signal, onTaken });
        expect(lease.lost.aborted).toBe(false);
      }
    });

    it("keeps names apart", async () => {
      await using backend = await startBackend();
      await using one = await backend.leases.acquire("a", { signal });
      await using other = await backend.leases.acquire("b", { signal });
      expect([one.lost.aborted, other.lost.aborted]).toEqual([false, false]);
    });

    it("gives back once, however often it is told", async () => {
      await using backend = await startBackend();
      const lease = await backend.leases.acquire("a", { signal });
      await lease[Symbol.asyncDispose]();
      await lease[Symbol.asyncDispose]();
      expect(lease.lost.aborted).toBe(false);
    });

    it("gives nothing to who does not wait any more", async () => {
      await using backend = await startBackend();
      const reason = new Error("not needed");
      const acquiring = backend.leases.acquire("a", { signal: AbortSignal.abort(reason) });
      await expect(acquiring).rejects.toBe(reason);
    });
  });
}
