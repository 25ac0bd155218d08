import type { StatementSync } from "node:sqlite";
import type { Json } from "../core/json.ts";
import type { Archive, StoreRecord } from "../core/ports.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** Rows read per step. */
const ROWS = 500;

/** Everything that the store on an embedded file holds. What has expired is left out. */
export function createSqliteStoreArchive(
  file: SqliteFile,
  now: () => number = Date.now,
): Archive<StoreRecord> {
  return new SqliteStoreArchive(file, now);
}

class SqliteStoreArchive implements Archive<StoreRecord> {
  readonly #file: SqliteFile;
  readonly #now: () => number;
  readonly #rows: StatementSync;
  readonly #add: StatementSync;

  constructor(file: SqliteFile, now: () => number) {
    this.#file = file;
    this.#now = now;
    this.#rows = file.prepare(
      `SELECT space, key, value, until FROM kv WHERE (space, key) > (?, ?) AND (until IS NULL OR until > ?)
       ORDER BY space, key LIMIT ${ROWS}`,
    );
    this.#add = file.prepare(
      `INSERT INTO kv (space, key, value, until) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value, until = excluded.until WHERE kv.until <= ?`,
    );
  }

  async isEmpty(): Promise<boolean> {
    return this.#rows.all("", "", this.#now()).length === 0;
  }

  async *dump(): AsyncIterable<StoreRecord> {
    for (let [space, key] = ["", ""]; ; ) {
      const rows = this.#rows.all(space, key, this.#now());
      for (const { space: rowSpace, key: rowKey, value, until } of rows) {
        [space, key] = [String(rowSpace), String(rowKey)];
        // Values are written as JSON only.
        const found = { space, key, value: JSON.parse(String(value)) as Json };
        yield until === null ? found : { ...found, until: Number(until) };
      }
      if (rows.length < ROWS) return;
    }
  }

  async load(lines: readonly StoreRecord[]): Promise<number> {
    return this.#file.commit(() => {
      const now = this.#now();
      const alive = lines.filter(({ until }) => until === undefined || until > now);
      const added = alive.map(
        ({ space, key, value, until }) =>
          this.#add.run(space, key, JSON.stringify(value), until ?? null, now).changes,
      );
      return added.filter((changes) => Number(changes) === 1).length;
    });
  }
}
