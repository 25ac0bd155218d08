import type { StatementSync } from "node:sqlite";
import type { QueueFile } from "../../src/queue/turn-table.ts";
import type { SqliteFile } from "../../src/store/sqlite-file.ts";

/** What the queue sees when its process is gone in the middle of a write. */
class Crash extends Error {
  override readonly name = "Crash";
}

/**
 * The queue's file in a process that dies at a chosen point: before a transaction, inside it with everything
 * written but not committed, or right after the commit. From then on nothing reaches the file any more.
 */
export class CrashingFile implements QueueFile {
  readonly path: string;
  /** Points passed so far. */
  points = 0;
  readonly #file: SqliteFile;
  readonly #crashAt: number;
  #crashed = false;

  constructor(file: SqliteFile, crashAt: number) {
    this.path = file.path;
    this.#file = file;
    this.#crashAt = crashAt;
  }

  get isOpen(): boolean {
    return !this.#crashed;
  }

  prepare(sql: string): StatementSync {
    return this.#file.prepare(sql);
  }

  transaction<T>(work: () => T): T {
    this.#point();
    const result = this.#file.transaction(() => this.#inside(work));
    this.#point();
    return result;
  }

  async commit<T>(work: () => T): Promise<T> {
    this.#point();
    const result = await this.#file.commit(() => this.#inside(work));
    this.#point();
    return result;
  }

  check(): Promise<{ ok: boolean; notes: readonly string[] }> {
    return this.#file.check();
  }

  #inside<T>(work: () => T): T {
    if (this.#crashed) throw new Crash();
    const result = work();
    this.#point();
    return result;
  }

  #point(): void {
    this.points += 1;
    if (this.points === this.#crashAt) this.#crashed = true;
    if (this.#crashed) throw new Crash();
  }
}
