import type { StatementSync } from "node:sqlite";

/** Every statement of the queue, by what it is for. */
const SQL = {
  counters: `SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'turn') AS turns,
      (SELECT max(ord) FROM turn) AS "order", (SELECT max(pos) FROM lane) AS lanes`,
  depth: "SELECT count(*) AS depth FROM turn",
  laneDepth: "SELECT count(*) AS depth FROM turn WHERE lane = ?",
  laneTurns: "SELECT * FROM turn WHERE lane = ? ORDER BY ord LIMIT ?",
  anyTurn: "SELECT 1 FROM turn WHERE lane = ? LIMIT 1",
  findTurn: "SELECT ord, lane FROM turn WHERE id = ?",
  position: "SELECT count(*) AS ahead FROM turn WHERE lane = ? AND ord < ?",
  isCancelled: "SELECT cancel FROM turn WHERE ord = ?",
  oldest: "SELECT at FROM turn ORDER BY ord LIMIT 1",
  addTurn: `INSERT INTO turn (ord, id, key, lane, payload, merge_group, merge_at, at, starts)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  start: "UPDATE turn SET starts = starts + 1, batch = ? WHERE ord = ?",
  addTry: "UPDATE turn SET tries = tries + 1 WHERE ord = ?",
  addCrash: "UPDATE turn SET crashes = crashes + 1 WHERE ord = ?",
  setCancel: "UPDATE turn SET cancel = 1 WHERE ord = ?",
  payload: "SELECT payload FROM turn WHERE ord = ?",
  setPayload: "UPDATE turn SET payload = ? WHERE ord = ?",
  save: "UPDATE turn SET state = ? WHERE ord = ? AND EXISTS (SELECT 1 FROM lane WHERE name = ? AND token = ?)",
  dropTurn: "DELETE FROM turn WHERE ord = ?",
  addLane: "INSERT INTO lane (name, pos) VALUES (?, ?) ON CONFLICT DO NOTHING",
  readyLanes: "SELECT name FROM lane WHERE token IS NULL AND due IS NULL ORDER BY pos LIMIT ?",
  heldLanes: "SELECT name FROM lane WHERE token IS NOT NULL",
  ownLane: "SELECT 1 FROM lane WHERE name = ? AND token = ?",
  holdLane: "UPDATE lane SET token = ? WHERE name = ?",
  freeLane: "UPDATE lane SET token = NULL WHERE name = ?",
  parkLane: "UPDATE lane SET token = NULL, due = ? WHERE name = ?",
  requeueLane: "UPDATE lane SET token = NULL, pos = ? WHERE name = ?",
  dropLane: "DELETE FROM lane WHERE name = ?",
  promoteLane: "UPDATE lane SET due = NULL WHERE name = ? AND token IS NULL",
  promoteDue: "UPDATE lane SET due = NULL WHERE due <= ? OR due > ?",
  nextDue: "SELECT min(due) AS due FROM lane WHERE due IS NOT NULL",
  seen: "SELECT id, until FROM seen WHERE key = ?",
  addSeen: "INSERT OR REPLACE INTO seen (key, id, until) VALUES (?, ?, ?)",
  sweepSeen: `DELETE FROM seen WHERE key IN (SELECT key FROM seen
      WHERE until <= ? AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.id = seen.id)
      ORDER BY until LIMIT ?)`,
  addDead: `INSERT OR REPLACE INTO dead (id, key, lane, payload, merge_group, merge_at, error, at)
      SELECT id, key, lane, payload, merge_group, merge_at, ?, ? FROM turn WHERE ord = ?`,
  dropOldestDead: "DELETE FROM dead WHERE id = (SELECT min(id) FROM dead)",
  listDead: "SELECT id, key, lane, error, at FROM dead ORDER BY at DESC, id DESC LIMIT ?",
  findDead: "SELECT key, lane, payload, merge_group, merge_at FROM dead WHERE id = ?",
  deadCount: "SELECT count(*) AS count FROM dead",
  dropDead: "DELETE FROM dead WHERE id = ?",
  getFlag: "SELECT value FROM flag WHERE name = ?",
  setFlag: "INSERT OR REPLACE INTO flag (name, value) VALUES (?, ?)",
} as const;

export type TurnStatements = Readonly<Record<keyof typeof SQL, StatementSync>>;

/** Prepares them all for one connection. */
export function prepareTurnStatements(file: { prepare(sql: string): StatementSync }): TurnStatements {
  const entries = Object.entries(SQL).map(([name, sql]) => [name, file.prepare(sql)] as const);
  // Its names are those of SQL, which fromEntries can't express.
  return Object.fromEntries(entries) as TurnStatements;
}
