import type { StatementSync } from "node:sqlite";
import type { Json } from "../core/json.ts";
import type { SetOptions, Store } from "../core/ports.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Expired rows removed per write, and rows read per step of a list. */
const SWEEP_ROWS = 4;
const LIST_ROWS = 200;

/**
 * The store on the embedded file. What has no expiry is written to the disk, or gone from it, when the call resolves; what
 * has one, or is not to be synced, survives the process, but perhaps not a power loss.
 *
 * @param now - Ms since the epoch; default the system's clock.
 */
export function createSqliteStore(file: SqliteFile, now: () => number = Date.now): Store {
  return new SqliteStore(file, now);
}

class SqliteStore implements Store {
  readonly #file: SqliteFile;
  readonly #now: () => number;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #putIfAbsent: StatementSync;
  readonly #until: StatementSync;
  readonly #drop: StatementSync;
  readonly #list: StatementSync;
  readonly #sweep: StatementSync;

  constructor(file: SqliteFile, now: () => number) {
    this.#file = file;
    this.#now = now;
    this.#get = file.prepare(
      "SELECT value FROM kv WHERE space = ? AND key = ? AND (until IS NULL OR until > ?)",
    );
    this.#put = file.prepare("INSERT OR REPLACE INTO kv (space, key, value, until) VALUES (?, ?, ?, ?)");
    this.#putIfAbsent = file.prepare(
      `INSERT INTO kv (space, key, value, until) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value, until = excluded.until WHERE kv.until <= ?`,
    );
    this.#until = file.prepare("SELECT until FROM kv WHERE space = ? AND key = ?");
    this.#drop = file.prepare("DELETE FROM kv WHERE space = ? AND key = ? RETURNING until");
    this.#list = file.prepare(
      `SELECT key, value FROM kv WHERE space = ? AND key > ? AND (until IS NULL OR until > ?)
       ORDER BY key LIMIT ${LIST_ROWS}`,
    );
    this.#sweep = file.prepare(
      `DELETE FROM kv WHERE (space, key) IN
       (SELECT space, key FROM kv WHERE until <= ? ORDER BY until LIMIT ${SWEEP_ROWS})`,
    );
  }

  async get(space: string, key: string): Promise<Json | undefined> {
    const row = this.#get.get(space, key, this.#now());
    return row === undefined ? undefined : toJson(row["value"]);
  }

  async set(space: string, key: string, value: Json, options: SetOptions = {}): Promise<boolean> {
    const { ttlMs, ifAbsent = false, synced = ttlMs === undefined } = options;
    const text = JSON.stringify(value);
    const write = (): boolean => {
      const now = this.#now();
      const until = ttlMs === undefined ? null : now + ttlMs;
      // Every write pays for its own expired predecessors, so the table never outgrows what is alive by much.
      this.#sweep.run(now);
      return ifAbsent
        ? this.#putIfAbsent.run(space, key, text, until, now).changes === 1
        : this.#put.run(space, key, text, until).changes === 1;
    };
    return synced ? this.#file.commit(write) : this.#file.transaction(write);
  }

  async delete(space: string, key: string): Promise<boolean> {
    const drop = (): boolean => {
      const row = this.#drop.get(space, key);
      if (row === undefined) return false;
      return row["until"] === null || Number(row["until"]) > this.#now();
    };
    const expires = typeof this.#until.get(space, key)?.["until"] === "number";
    return expires ? this.#file.transaction(drop) : this.#file.commit(drop);
  }

  async *list(space: string): AsyncIterable<readonly [key: string, value: Json]> {
    // In steps, each a query of its own: writes may happen between two of them. No key is the empty string.
    for (let after = ""; ; ) {
      const rows = this.#list.all(space, after, this.#now());
      for (const row of rows) {
        after = String(row["key"]);
        yield [after, toJson(row["value"])];
      }
      if (rows.length < LIST_ROWS) return;
    }
  }
}

/** Values are written by `set` alone, as JSON. */
function toJson(text: unknown): Json {
  return JSON.parse(String(text)) as Json;
}
