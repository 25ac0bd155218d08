/**
 * A disk that takes longer is waited for beside the event loop, in ms. Handing a sync to another thread and hearing of its
 * end costs an idle machine 2 to 3 ms, so a quick disk is better waited for at once.
 */
const BESIDE_MS = 2;

/** A file that is synced to its disk, either way. */
export interface SyncedFile {
  /** Holds up the event loop. @throws what the disk says. */
  syncNow(): void;
  sync(): Promise<void>;
}

/** Syncs a log: quickly where the disk is quick, without holding up the loop where it is not. */
export class LogSync {
  readonly #file: SyncedFile;
  readonly #now: () => number;
  /** How long the last sync took, in ms. */
  #lastMs = 0;
  /** The last sync that was asked for beside the loop, until it ends. */
  #syncing: Promise<void> | undefined;
  /** A sync that is not begun yet: whatever is written before goes with it. */
  #next: Promise<void> | undefined;

  /** @param now - Ms on a monotonic clock. */
  constructor(file: SyncedFile, now: () => number = () => performance.now()) {
    this.#file = file;
    this.#now = now;
  }

  /** Resolves when all that is written so far is on the disk. @throws what the disk says. */
  async sync(): Promise<void> {
    if (this.#lastMs > BESIDE_MS) return this.#syncBeside();
    const begunAt = this.#now();
    this.#file.syncNow();
    this.#lastMs = this.#now() - begunAt;
  }

  /** Resolves when all is on the disk whose sync was asked for before. @throws what the disk says. */
  async underWay(): Promise<void> {
    await this.#syncing;
  }

  /** A sync that is under way may have begun too early for what is written by now. */
  #syncBeside(): Promise<void> {
    this.#next ??= this.#begin(this.#syncing);
    return this.#next;
  }

  #begin(before: Promise<void> | undefined): Promise<void> {
    const syncing = Promise.resolve(before)
      .catch(() => undefined)
      .then(() => this.#syncNext())
      .finally(() => {
        if (this.#syncing === syncing) this.#syncing = undefined;
      });
    this.#syncing = syncing;
    return syncing;
  }

  async #syncNext(): Promise<void> {
    this.#next = undefined;
    const begunAt = this.#now();
    try {
      await this.#file.sync();
    } finally {
      this.#lastMs = this.#now() - begunAt;
    }
  }
}
