import { describe, expect, it } from "vitest";
import { LogSync } from "../../src/store/log-sync.ts";

/** A disk whose syncs take as long as is said; those beside the loop end when they are told to. */
class Disk {
  ms = 0.3;
  now = 0;
  readonly inLoop: number[] = [];
  readonly beside: PromiseWithResolvers<void>[] = [];
  readonly log = new LogSync(
    {
      syncNow: () => {
        this.now += this.ms;
        this.inLoop.push(this.ms);
      },
      sync: () => {
        const sync = Promise.withResolvers<void>();
        this.beside.push(sync);
        return sync.promise;
      },
    },
    () => this.now,
  );

  /** Ends the oldest sync beside the loop, after as many ms. */
  end(ms: number): void {
    this.now += ms;
    this.beside.shift()?.resolve();
  }
}

/** One that has found the disk to be slow. */
async function aSlowDisk(): Promise<Disk> {
  const disk = new Disk();
  disk.ms = 8;
  await disk.log.sync();
  return disk;
}

/** Tells in which order they were done. */
function watch(syncs: readonly Promise<void>[]): number[] {
  const done: number[] = [];
  for (const [index, sync] of syncs.entries()) void sync.then(() => done.push(index));
  return done;
}

describe("a log", () => {
  it("is synced at once where the disk is quick", async () => {
    const disk = new Disk();
    await disk.log.sync();
    await disk.log.sync();
    expect([disk.inLoop, disk.beside]).toEqual([[0.3, 0.3], []]);
  });

  it("is synced beside the loop where the disk was slow, until it is quick again", async () => {
    const disk = await aSlowDisk();
    const slow = disk.log.sync();
    await expect.poll(() => disk.beside.length).toBe(1);
    disk.end(9);
    await slow;
    const quick = disk.log.sync();
    await expect.poll(() => disk.beside.length).toBe(1);
    disk.end(1);
    await quick;
    await disk.log.sync();
    expect(disk.inLoop).toHaveLength(2);
  });

  it("shares the next sync among all that come while the disk works, which may have begun too early for them", async () => {
    const disk = await aSlowDisk();
    const first = disk.log.sync();
    await expect.poll(() => disk.beside.length).toBe(1);
    const done = watch([first, disk.log.sync(), disk.log.sync()]);
    disk.end(9);
    await expect.poll(() => [done, disk.beside.length]).toEqual([[0], 1]);
    disk.end(9);
    await expect.poll(() => done).toEqual([0, 1, 2]);
    expect(disk.beside).toEqual([]);
  });

  it("tells all who wait when the disk fails, and goes on", async () => {
    const disk = await aSlowDisk();
    const failed = expect(disk.log.sync()).rejects.toThrow("EIO");
    await expect.poll(() => disk.beside.length).toBe(1);
    disk.beside.shift()?.reject(new Error("EIO"));
    await failed;
    disk.ms = 0.3;
    await disk.log.sync();
    expect(disk.inLoop).toHaveLength(2);
  });

  it("is waited for by who has nothing to write, as far as others asked for it", async () => {
    const disk = await aSlowDisk();
    await disk.log.underWay();
    const done = watch([disk.log.sync(), disk.log.sync(), disk.log.underWay()]);
    await expect.poll(() => disk.beside.length).toBe(1);
    disk.end(9);
    await expect.poll(() => [done.toSorted(), disk.beside.length]).toEqual([[0, 1, 2], 0]);
  });
});
