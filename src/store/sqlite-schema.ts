import type { DatabaseSync } from "node:sqlite";
import { BridgeError } from "../core/errors.ts";

/**
 * Everything the one file holds, as the steps that led there. Step n brings `PRAGMA user_version` from n to n+1.
 * A step that was released is never changed; a new one is appended, with a file of the old version in
 * `test/fixtures/queue/`.
 *
 * @see docs/reference/queue.md §4
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- Unfinished turns. "ord" is the order of acceptance; "id" is what the outside knows and survives a requeue.
  CREATE TABLE turn (
    ord INTEGER PRIMARY KEY AUTOINCREMENT,
    id INTEGER NOT NULL UNIQUE,
    key TEXT NOT NULL,
    lane TEXT NOT NULL,
    payload TEXT NOT NULL,
    merge INTEGER NOT NULL,
    at INTEGER NOT NULL,
    cancel INTEGER NOT NULL DEFAULT 0,
    -- Of the first turn of a batch, valid for the whole batch; "batch" is 0 until its first start.
    batch INTEGER NOT NULL DEFAULT 0,
    starts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    state TEXT
  );
  CREATE INDEX turn_by_lane ON turn(lane, ord);

  -- One row per conversation with unfinished turns. Running: "token" is set. In back-off: "due" is set.
  CREATE TABLE lane (
    name TEXT PRIMARY KEY,
    pos INTEGER NOT NULL,
    due INTEGER,
    token TEXT
  ) WITHOUT ROWID;
  CREATE INDEX lane_ready ON lane(pos) WHERE token IS NULL AND due IS NULL;
  CREATE INDEX lane_parked ON lane(due) WHERE due IS NOT NULL;
  CREATE INDEX lane_held ON lane(token) WHERE token IS NOT NULL;

  -- Keys of accepted turns, for the time of the dedupe window.
  CREATE TABLE seen (key TEXT PRIMARY KEY, id INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX seen_until ON seen(until);

  CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    lane TEXT NOT NULL,
    payload TEXT NOT NULL,
    merge INTEGER NOT NULL,
    at INTEGER NOT NULL,
    error TEXT NOT NULL
  );

  CREATE TABLE flag (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE kv (
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (space, key)
  ) WITHOUT ROWID;
  CREATE INDEX kv_until ON kv(until) WHERE until IS NOT NULL;
  `,
  `
  -- What decides about merging: whose turn it is and when it was written. A turn that no longer merges has no group.
  ALTER TABLE turn ADD COLUMN merge_group TEXT;
  ALTER TABLE turn ADD COLUMN merge_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE turn DROP COLUMN merge;
  ALTER TABLE dead ADD COLUMN merge_group TEXT;
  ALTER TABLE dead ADD COLUMN merge_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE dead DROP COLUMN merge;
  `,
];

/**
 * Brings a file to the newest version, one transaction per step.
 *
 * @throws {BridgeError} `CONFIG_INVALID` when a newer bridge wrote the file: guessing at it could lose turns.
 */
export function migrate(database: DatabaseSync, path: string, migrations: readonly string[]): void {
  const found = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (found > migrations.length) {
    throw new BridgeError(
      "CONFIG_INVALID",
      `${path} has schema version ${found}, this bridge knows up to ${migrations.length}: ` +
        "it was written by a newer coze-bridge. Start that version again, or point DATA_DIR to another folder.",
    );
  }
  migrations.slice(found).forEach((step, index) => {
    database.exec("BEGIN IMMEDIATE");
    try {
      database.exec(step);
      database.exec(`PRAGMA user_version = ${found + index + 1}`);
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  });
}
