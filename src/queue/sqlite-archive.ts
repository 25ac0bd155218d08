import type { StatementSync } from "node:sqlite";
import type { Json } from "../core/json.ts";
import type {
  DeadRecord,
  MergeMark,
  QueueArchive,
  QueueRecord,
  SeenRecord,
  TurnRecord,
} from "../core/ports.ts";
import { parseJson } from "./json-text.ts";
import type { QueueFile } from "./turn-table.ts";

/** Rows read per step. */
const ROWS = 500;

const SQL = {
  any: `SELECT 1 WHERE EXISTS (SELECT 1 FROM turn) OR EXISTS (SELECT 1 FROM dead) OR EXISTS (SELECT 1 FROM seen)`,
  turns: `SELECT * FROM turn WHERE ord > ? ORDER BY ord LIMIT ${ROWS}`,
  dead: `SELECT * FROM dead WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
  seen: `SELECT key, id, until FROM seen WHERE key > ? ORDER BY key LIMIT ${ROWS}`,
  paused: "SELECT value FROM flag WHERE name = 'paused'",
  pause: "INSERT OR REPLACE INTO flag (name, value) VALUES ('paused', 1)",
  deadPayload: "SELECT payload FROM dead WHERE id = ?",
  highest: `SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'turn'), 0),
      coalesce((SELECT max(ord) FROM turn), 0), coalesce((SELECT max(id) FROM turn), 0),
      coalesce((SELECT max(id) FROM dead), 0), coalesce((SELECT max(id) FROM seen), 0)) AS highest`,
  // Every unfinished turn has its key here; a look at the turns themselves would read all of them.
  known: `SELECT 1 FROM seen WHERE key = ?1 AND (until > ?2 OR EXISTS (SELECT 1 FROM turn WHERE turn.id = seen.id))`,
  knownDead: "SELECT 1 FROM dead WHERE key = ?",
  addTurn: `INSERT INTO turn
      (ord, id, key, lane, payload, merge_group, merge_at, at, cancel, batch, starts, tries, crashes, state)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  addLane: "INSERT INTO lane (name, pos) VALUES (?, ?) ON CONFLICT DO NOTHING",
  addDead: `INSERT INTO dead (id, key, lane, payload, merge_group, merge_at, error, at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  addSeen: `INSERT INTO seen (key, id, until) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET until = excluded.until WHERE seen.id = excluded.id`,
  dropSequence: "DELETE FROM sqlite_sequence WHERE name = 'turn'",
  setSequence: "INSERT INTO sqlite_sequence (name, seq) VALUES ('turn', ?)",
} as const;

type Row = Readonly<Record<string, unknown>>;

/**
 * Everything that the queue on an embedded file holds. To be used while no queue is open on it; `deadPayload` also
 * beside one.
 *
 * @param now - Ms since the epoch; default the system's clock.
 */
export function createSqliteQueueArchive(file: QueueFile, now: () => number = Date.now): QueueArchive {
  return new SqliteQueueArchive(file, now);
}

class SqliteQueueArchive implements QueueArchive {
  readonly #file: QueueFile;
  readonly #now: () => number;
  readonly #sql: Readonly<Record<keyof typeof SQL, StatementSync>>;
  /** Added to each id that is loaded, so that it is new here; known from the first load on. */
  #shift: number | undefined;
  /** Highest order number in use. */
  #order = 0;

  constructor(file: QueueFile, now: () => number) {
    this.#file = file;
    this.#now = now;
    const entries = Object.entries(SQL).map(([name, sql]) => [name, file.prepare(sql)] as const);
    // Its names are those of SQL, which fromEntries can't express.
    this.#sql = Object.fromEntries(entries) as Readonly<Record<keyof typeof SQL, StatementSync>>;
  }

  async isEmpty(): Promise<boolean> {
    return this.#sql.any.get() === undefined;
  }

  async *dump(): AsyncIterable<QueueRecord> {
    if (Number(this.#sql.paused.get()?.["value"] ?? 0) === 1) yield { kind: "paused" };
    yield* this.#pages(this.#sql.turns, "ord", 0, toTurnRecord);
    yield* this.#pages(this.#sql.dead, "id", 0, toDeadRecord);
    yield* this.#pages(this.#sql.seen, "key", "", toSeenRecord);
  }

  async load(lines: readonly QueueRecord[]): Promise<number> {
    return this.#file.commit(() => {
      this.#shift ??= this.#order = this.#highest();
      const added = lines.filter((line) => this.#add(line)).length;
      const highest = this.#highest();
      // New turns count on from here, also when their number is not the highest id.
      this.#sql.dropSequence.run();
      this.#sql.setSequence.run(highest);
      return added;
    });
  }

  async deadPayload(id: string): Promise<Json | undefined> {
    const row = this.#sql.deadPayload.get(Number(id));
    return row === undefined ? undefined : parseJson(String(row["payload"]));
  }

  #highest(): number {
    return Number(this.#sql.highest.get()?.["highest"]);
  }

  async *#pages<T>(
    statement: StatementSync,
    column: string,
    first: number | string,
    toRecord: (row: Row) => T,
  ): AsyncIterable<T> {
    for (let after = first; ; ) {
      const rows = statement.all(after);
      yield* rows.map((row) => toRecord(row));
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS) return;
      const next = last[column];
      after = typeof next === "string" ? next : Number(next);
    }
  }

  #add(line: QueueRecord): boolean {
    switch (line.kind) {
      case "turn":
        return this.#addTurn(line);
      case "dead":
        return this.#addDead(line);
      case "seen":
        return (
          line.until > this.#now() &&
          this.#sql.addSeen.run(line.key, this.#idOf(line), line.until).changes === 1
        );
      case "paused":
        this.#sql.pause.run();
        return true;
    }
  }

  #addTurn(turn: TurnRecord): boolean {
    if (this.#isKnown(turn.key)) return false;
    const order = ++this.#order;
    const { merge, state } = turn;
    this.#sql.addTurn.run(
      order,
      this.#idOf(turn),
      turn.key,
      turn.conversation,
      JSON.stringify(turn.payload),
      merge?.group ?? null,
      merge?.at ?? 0,
      turn.at,
      turn.cancelled ? 1 : 0,
      turn.batch,
      turn.starts,
      turn.tries,
      turn.crashes,
      state === undefined ? null : JSON.stringify(state),
    );
    this.#sql.addLane.run(turn.conversation, order);
    // Until its own line comes, should the import end before.
    this.#sql.addSeen.run(turn.key, this.#idOf(turn), turn.at);
    return true;
  }

  #addDead(dead: DeadRecord): boolean {
    if (this.#isKnown(dead.key) || this.#sql.knownDead.get(dead.key) !== undefined) return false;
    const { merge } = dead;
    const payload = JSON.stringify(dead.payload);
    const facts = [dead.key, dead.conversation, payload, merge?.group ?? null, merge?.at ?? 0];
    this.#sql.addDead.run(this.#idOf(dead), ...facts, dead.error, dead.at);
    return true;
  }

  #isKnown(key: string): boolean {
    return this.#sql.known.get(key, this.#now()) !== undefined;
  }

  #idOf({ id }: { id: number }): number {
    return id + (this.#shift ?? 0);
  }
}

function toTurnRecord(row: Row): TurnRecord {
  return {
    kind: "turn",
    ...toFacts(row),
    at: Number(row["at"]),
    cancelled: row["cancel"] === 1,
    batch: Number(row["batch"]),
    starts: Number(row["starts"]),
    tries: Number(row["tries"]),
    crashes: Number(row["crashes"]),
    ...(row["state"] !== null && { state: parseJson(String(row["state"])) }),
  };
}

function toDeadRecord(row: Row): DeadRecord {
  return { kind: "dead", ...toFacts(row), error: String(row["error"]), at: Number(row["at"]) };
}

function toSeenRecord({ key, id, until }: Row): SeenRecord {
  return { kind: "seen", key: String(key), id: Number(id), until: Number(until) };
}

function toFacts(row: Row): Omit<DeadRecord, "kind" | "error" | "at"> {
  const group = row["merge_group"];
  const merge: MergeMark | undefined =
    group === null ? undefined : { group: String(group), at: Number(row["merge_at"]) };
  return {
    id: Number(row["id"]),
    key: String(row["key"]),
    conversation: String(row["lane"]),
    payload: parseJson(String(row["payload"])),
    ...(merge !== undefined && { merge }),
  };
}
