import type { StatementSync } from "node:sqlite";
import type { DeadTurn, MergeMark, NewTurn } from "../core/ports.ts";
import { type Claim, type ClaimedTurn, headOf } from "./claim.ts";
import { type Accepted, MAX_DEAD, type QueueBounds } from "./limits.ts";
import { batchSize, isSuspected, LONGEST_PARKED_MS, mayStartAgain, type Outcome } from "./outcome.ts";
import { prepareTurnStatements, type TurnStatements } from "./turn-sql.ts";

/** The part of the SQLite file the queue uses. */
export interface QueueFile {
  readonly path: string;
  /** False after it was closed: then nothing here is ours any more. */
  readonly isOpen: boolean;
  prepare(sql: string): StatementSync;
  /** Runs the work in one transaction; survives the end of the process. A throw undoes it. */
  transaction<T>(work: () => T): T;
  /** Like `transaction`, but on the disk when it resolves, and shared with others of the same moment. */
  commit<T>(work: () => T): Promise<T>;
  check(): Promise<{ ok: boolean; notes: readonly string[] }>;
}

/** Expired keys removed per sweep. */
const SWEEP_ROWS = 500;

export interface ClaimOptions {
  readonly maxMerge: number;
  readonly mergeWithinMs: number;
  readonly token: () => string;
}

/** A started run as the tables know it. */
export type TableClaim = Claim<TableTurn>;

interface TableTurn extends ClaimedTurn {
  /** Its place among all turns, by which the tables know it. */
  readonly ord: number;
}

interface TurnRow extends TableTurn {
  readonly merge: MergeMark | undefined;
  readonly cancelled: boolean;
  readonly batch: number;
  readonly starts: number;
  readonly tries: number;
  readonly crashes: number;
  readonly state: string | undefined;
}

type Row = ReturnType<StatementSync["get"]>;

/** The queue's tables. Every method is synchronous and runs inside a transaction of its caller. */
export class TurnTable {
  readonly #sql: TurnStatements;
  /** Next order number; also orders the lanes. Only one process counts, so it can live here. */
  #next: number;
  #depth = 0;
  #dead = 0;

  constructor(file: QueueFile) {
    this.#sql = prepareTurnStatements(file);
    const { turns, order, lanes } = fields(this.#sql.counters.get());
    this.#next = 1 + Math.max(Number(turns ?? 0), Number(order ?? 0), Number(lanes ?? 0));
    this.recount();
  }

  /** Unfinished turns, running ones included. */
  get depth(): number {
    return this.#depth;
  }

  get deadCount(): number {
    return this.#dead;
  }

  /** Counts anew, after a transaction that was undone. */
  recount(): void {
    this.#depth = Number(fields(this.#sql.depth.get())["depth"]);
    this.#dead = Number(fields(this.#sql.deadCount.get())["count"]);
  }

  /**
   * Takes back what a dead process held. What has killed its process too often is buried.
   *
   * @returns How many conversations were running.
   */
  takeOver(now: number): { freed: number; buried: readonly string[] } {
    const lanes = this.#sql.heldLanes.all().map((row) => String(fields(row)["name"]));
    const buried: string[] = [];
    for (const lane of lanes) {
      this.#sql.freeLane.run(lane);
      const head = this.#head(lane);
      if (head === undefined) continue;
      this.#sql.addCrash.run(head.ord);
      if (mayStartAgain(head.crashes + 1)) continue;
      const batch = this.#batch(lane, Math.max(1, head.batch));
      const error = `its process died ${head.crashes + 1} times while it ran`;
      for (const turn of batch) this.#bury(turn.ord, error, now);
      this.#closeLane(lane);
      buried.push(...batch.map((turn) => turn.id));
    }
    return { freed: lanes.length, buried };
  }

  /** Accepts a turn, or says that it is known, or that there is no room. */
  accept(
    turn: NewTurn,
    payload: string,
    when: { now: number; dedupeMs: number; bounds: QueueBounds },
  ): Accepted {
    const known = this.#known(turn.key, when.now);
    if (known !== undefined) {
      return { id: String(known), duplicate: true, ahead: this.#aheadOf(known) };
    }
    const ahead = Number(fields(this.#sql.laneDepth.get(turn.conversation))["depth"]);
    if (ahead >= when.bounds.perConversation) return "conversation-full";
    if (this.#depth >= when.bounds.total) return "full";
    const ord = this.#next++;
    this.#sql.addTurn.run(
      ord,
      ord,
      turn.key,
      turn.conversation,
      payload,
      turn.merge?.group ?? null,
      turn.merge?.at ?? 0,
      when.now,
      turn.perhapsStarted === true ? 1 : 0,
    );
    this.#sql.addLane.run(turn.conversation, ord);
    this.#sql.addSeen.run(turn.key, ord, when.now + when.dedupeMs);
    this.#depth += 1;
    return { id: String(ord), duplicate: false, ahead };
  }

  /** Starts up to `room` conversations, longest waiting first. */
  claim(room: number, how: ClaimOptions): readonly TableClaim[] {
    const lanes = this.#sql.readyLanes.all(room).map((row) => String(fields(row)["name"]));
    return lanes.map((lane) => this.#claimLane(lane, how)).filter((claim) => claim !== undefined);
  }

  /** Ends a run. @returns False when it was no longer ours, and nothing was changed. */
  end(claim: TableClaim, outcome: Outcome, now: number): boolean {
    if (this.#sql.ownLane.get(claim.lane, claim.token) === undefined) return false;
    const head = headOf(claim);
    switch (outcome.end) {
      case "done":
        for (const { ord } of claim.turns) this.#remove(ord);
        this.#closeLane(claim.lane);
        return true;
      case "dead":
        for (const { ord } of claim.turns) this.#bury(ord, outcome.error, now);
        this.#closeLane(claim.lane);
        return true;
      case "retry":
        if (outcome.counts) this.#sql.addTry.run(head.ord);
        // A cancel that came in between must not wait.
        this.#sql.parkLane.run(this.#isCancelled(head.ord) ? null : now + outcome.afterMs, claim.lane);
        return true;
      case "release":
        this.#sql.freeLane.run(claim.lane);
        return true;
    }
  }

  /** Stores the checkpoint. @returns False when the run is no longer ours. */
  save(claim: TableClaim, state: string): boolean {
    const { ord } = headOf(claim);
    return this.#sql.save.run(state, ord, claim.lane, claim.token).changes === 1;
  }

  /** Marks a turn as cancelled and lets it start now. @returns Its lane and order; `undefined` when unknown. */
  cancel(id: number): { lane: string; ord: number } | undefined {
    const found = this.#sql.findTurn.get(id);
    if (found === undefined) return undefined;
    const lane = String(fields(found)["lane"]);
    const ord = Number(fields(found)["ord"]);
    const head = this.#head(lane);
    if (head === undefined) throw new Error("a turn without a first one in its conversation");
    const position = Number(fields(this.#sql.position.get(lane, ord))["ahead"]);
    const isFirst = position < Math.max(1, head.batch);
    // A batch stays together: who cancels one of it cancels all of it.
    this.#sql.setCancel.run(isFirst ? head.ord : ord);
    if (isFirst) this.#sql.promoteLane.run(lane);
    return { lane, ord };
  }

  /** The turn known under a key. */
  idOf(key: string, now: number): string | undefined {
    const known = this.#known(key, now);
    return known === undefined ? undefined : String(known);
  }

  /** Where a turn stands that was accepted and has not been started. */
  waiting(id: number): { ord: number; payload: string } | undefined {
    const found = this.#sql.findTurn.get(id);
    if (found === undefined) return undefined;
    const ord = Number(fields(found)["ord"]);
    const lane = String(fields(found)["lane"]);
    const position = Number(fields(this.#sql.position.get(lane, ord))["ahead"]);
    // The batch of the first turn is fixed at its first start: all of it counts as started.
    if (position < (this.#head(lane)?.batch ?? 0)) return undefined;
    return { ord, payload: String(fields(this.#sql.payload.get(ord))["payload"]) };
  }

  setPayload(ord: number, payload: string): void {
    this.#sql.setPayload.run(payload, ord);
  }

  /** Another key of a turn, known until then. */
  addKey(id: number, key: string, until: number): void {
    this.#sql.addSeen.run(key, id, until);
  }

  /** Lets parked conversations go whose time has come. @returns When the next one's comes. */
  promote(now: number): number | undefined {
    this.#sql.promoteDue.run(now, now + LONGEST_PARKED_MS);
    const due = fields(this.#sql.nextDue.get())["due"];
    return due === null ? undefined : Number(due);
  }

  /** When the oldest unfinished turn was accepted. */
  oldestAt(): number | undefined {
    const row = this.#sql.oldest.get();
    return row === undefined ? undefined : Number(fields(row)["at"]);
  }

  dead(limit: number): readonly DeadTurn[] {
    return this.#sql.listDead.all(limit).map((row) => {
      const { id, key, lane, error, at } = fields(row);
      return {
        id: String(id),
        key: String(key),
        conversation: String(lane),
        error: String(error),
        at: Number(at),
      };
    });
  }

  /** Puts a dead letter back, as if it had just been accepted. Its checkpoint is not kept. */
  requeue(id: number, now: number): boolean {
    const row = this.#sql.findDead.get(id);
    if (row === undefined) return false;
    const { key, lane, payload, merge_group: group, merge_at: mergeAt } = fields(row);
    const ord = this.#next++;
    const merge = group === null ? null : String(group);
    this.#sql.addTurn.run(
      ord,
      id,
      String(key),
      String(lane),
      String(payload),
      merge,
      Number(mergeAt),
      now,
      0,
    );
    this.#sql.addLane.run(String(lane), ord);
    this.#depth += 1;
    return this.discard(id);
  }

  discard(id: number): boolean {
    const found = this.#sql.dropDead.run(id).changes === 1;
    if (found) this.#dead -= 1;
    return found;
  }

  setPaused(paused: boolean): void {
    this.#sql.setFlag.run("paused", paused ? 1 : 0);
  }

  isPaused(): boolean {
    return Number(fields(this.#sql.getFlag.get("paused"))["value"] ?? 0) === 1;
  }

  /** Forgets keys whose window is over. @returns Whether there may be more. */
  sweep(now: number): boolean {
    return Number(this.#sql.sweepSeen.run(now, SWEEP_ROWS).changes) === SWEEP_ROWS;
  }

  /** The id under which a key was accepted, while that counts: in the window, and as long as it is unfinished. */
  #known(key: string, now: number): number | undefined {
    const row = this.#sql.seen.get(key);
    if (row === undefined) return undefined;
    const { id, until } = fields(row);
    const counts = Number(until) > now || this.#sql.findTurn.get(Number(id)) !== undefined;
    return counts ? Number(id) : undefined;
  }

  #aheadOf(id: number): number {
    const row = this.#sql.findTurn.get(id);
    if (row === undefined) return 0;
    const { lane, ord } = fields(row);
    return Number(fields(this.#sql.position.get(String(lane), Number(ord)))["ahead"]);
  }

  #claimLane(lane: string, how: ClaimOptions): TableClaim | undefined {
    const head = this.#head(lane);
    if (head === undefined) {
      this.#sql.dropLane.run(lane);
      return undefined;
    }
    const waiting = head.batch > 0 ? this.#batch(lane, head.batch) : this.#batch(lane, how.maxMerge);
    // Fixed at the first start, so that a later one answers the same turns its checkpoint is about (queue.md §8.12).
    const size = head.batch > 0 ? head.batch : batchSize(waiting, how);
    const token = how.token();
    this.#sql.start.run(size, head.ord);
    this.#sql.holdLane.run(token, lane);
    return {
      lane,
      token,
      turns: waiting.slice(0, size),
      start: head.starts + 1,
      attempt: head.tries + 1,
      suspected: isSuspected(head.crashes),
      state: head.state,
      cancelled: head.cancelled,
    };
  }

  #head(lane: string): TurnRow | undefined {
    return this.#batch(lane, 1)[0];
  }

  #batch(lane: string, size: number): readonly TurnRow[] {
    return this.#sql.laneTurns.all(lane, size).map((row) => toTurnRow(row));
  }

  #isCancelled(ord: number): boolean {
    return Number(fields(this.#sql.isCancelled.get(ord))["cancel"] ?? 0) === 1;
  }

  #bury(ord: number, error: string, now: number): void {
    this.#dead += Number(this.#sql.addDead.run(error, now, ord).changes);
    if (this.#dead > MAX_DEAD) this.#dead -= Number(this.#sql.dropOldestDead.run().changes);
    this.#remove(ord);
  }

  #remove(ord: number): void {
    this.#depth -= Number(this.#sql.dropTurn.run(ord).changes);
  }

  /** After its first turn left: the lane goes to the end of the line, or away when it is empty. */
  #closeLane(lane: string): void {
    if (this.#sql.anyTurn.get(lane) === undefined) this.#sql.dropLane.run(lane);
    else this.#sql.requeueLane.run(this.#next++, lane);
  }
}

function toTurnRow(row: Row): TurnRow {
  const found = fields(row);
  return {
    ord: Number(found["ord"]),
    id: String(found["id"]),
    key: String(found["key"]),
    payload: String(found["payload"]),
    at: Number(found["at"]),
    merge:
      found["merge_group"] === null
        ? undefined
        : { group: String(found["merge_group"]), at: Number(found["merge_at"]) },
    cancelled: found["cancel"] === 1,
    batch: Number(found["batch"]),
    starts: Number(found["starts"]),
    tries: Number(found["tries"]),
    crashes: Number(found["crashes"]),
    state: found["state"] === null ? undefined : String(found["state"]),
  };
}

function fields(row: Row): NonNullable<Row> {
  return row ?? {};
}
