import type { Redis } from "ioredis";
import type { DeadTurn, NewTurn, QueueStats } from "../core/ports.ts";
import { type Claim, type ClaimedTurn, headOf } from "./claim.ts";
import { type Accepted, MAX_DEAD, type QueueBounds } from "./limits.ts";
import { MAILBOX_SCRIPTS, type MailboxScript } from "./mailbox-scripts.ts";
import { isSuspected, MAX_CRASHES } from "./outcome.ts";

/** For what was taken already. */
const UNBOUNDED: QueueBounds = { perConversation: Number.MAX_SAFE_INTEGER, total: Number.MAX_SAFE_INTEGER };

/** A turn without what it says. */
export type TurnLabel = Omit<NewTurn, "payload">;

/** A started run as Redis knows it. */
export interface Begun extends Claim {
  /** The run before this one was never ended. */
  readonly takenOver: boolean;
}

export interface BeginOptions {
  readonly token: string;
  readonly maxMerge: number;
  readonly mergeWithinMs: number;
  /** Key and value of the scheduler's lock, without which nothing may start. */
  readonly lock: { readonly key: string; readonly token: string };
  /** Key of the scheduler's own hash, which says whether it is paused. */
  readonly meta: string;
}

/** What a conversation's turns look like at a start: none, or the next, and what was buried on the way. */
export interface BeginAnswer {
  readonly begun: Begun | undefined;
  readonly lost: boolean;
  readonly paused: boolean;
  readonly buried: readonly string[];
}

/** Whether a run was still ours, and whether somebody wants it cancelled. */
export type Owned = "lost" | "ours" | "cancelled";

/** The turns themselves: mailboxes in Redis, one script per step. */
export class Mailbox {
  /** Name of the channel that carries cancelled runs. */
  readonly cancelChannel: string;
  readonly #redis: Redis;
  readonly #root: string;
  readonly #dedupeMs: number;
  readonly #bounds: QueueBounds;
  readonly #server: () => string | undefined;

  /** @param settings - `server` names the process that Redis is, as far as that is known. */
  constructor(
    redis: Redis,
    settings: { prefix: string; dedupeMs: number; bounds: QueueBounds; server: () => string | undefined },
  ) {
    this.#redis = redis;
    this.#root = `{${settings.prefix}}:`;
    // Words are heard in all databases of a server, and ids are counted in each.
    this.cancelChannel = `${this.#root}cancel:${redis.options.db ?? 0}`;
    this.#dedupeMs = settings.dedupeMs;
    this.#bounds = settings.bounds;
    this.#server = settings.server;
    for (const [name, lua] of Object.entries(MAILBOX_SCRIPTS)) {
      redis.defineCommand(name, { numberOfKeys: 1, lua });
    }
  }

  /**
   * @param deadline - By Redis' clock, in ms since the epoch: what arrives later is not accepted.
   * @param again - Redis may have lost it: where it did, it is taken whatever waits, and counts as started.
   */
  async enqueue(
    turn: TurnLabel,
    payload: string,
    { deadline, again = false }: { deadline?: number | undefined; again?: boolean } = {},
  ): Promise<Accepted> {
    const { perConversation, total } = again ? UNBOUNDED : this.#bounds;
    const merge = turn.merge === undefined ? [] : [turn.merge.group, turn.merge.at];
    const until = deadline === undefined ? "" : Math.ceil(deadline);
    const starts = again || turn.perhapsStarted === true ? 1 : "";
    const answer = await this.#run(
      "tqEnqueue",
      turn.key,
      turn.conversation,
      payload,
      perConversation,
      total,
      until,
      starts,
      this.#server() ?? "",
      ...merge,
    );
    const [kind, id, ahead] = toList(answer);
    switch (kind) {
      case "accepted":
      case "duplicate":
        return { id: String(id), duplicate: kind === "duplicate", ahead: Number(ahead) };
      case "late":
      case "full":
      case "conversation-full":
        return kind;
      default:
        throw new Error(`mailbox answers ${String(kind)}`);
    }
  }

  async begin(
    lane: string,
    { token, maxMerge, mergeWithinMs, lock, meta }: BeginOptions,
  ): Promise<BeginAnswer> {
    const limits = [maxMerge, mergeWithinMs, MAX_CRASHES, this.#dedupeMs, MAX_DEAD];
    const scheduler = [lock.key, lock.token, meta];
    const answer = await this.#run("tqBegin", lane, token, ...limits, ...scheduler, this.#server() ?? "");
    const [kind, buried, facts, ...turns] = toList(answer);
    const [starts, tries, cancelled, state, takenOver, crashes] = toList(facts ?? []);
    const found: Begun = {
      lane,
      token,
      turns: turns.map((turn) => toClaimedTurn(toList(turn))),
      start: Number(starts),
      attempt: Number(tries) + 1,
      suspected: isSuspected(Number(crashes)),
      state: typeof state === "string" ? state : undefined,
      cancelled: cancelled === "1",
      takenOver: Number(takenOver) === 1,
    };
    return {
      begun: kind === "run" ? found : undefined,
      lost: kind === "lost",
      paused: kind === "paused",
      buried: toList(buried).map(String),
    };
  }

  /** Stores the checkpoint; without one it only asks. */
  async save(run: Claim, state: string | undefined): Promise<Owned> {
    const answer = Number(await this.#run("tqSave", headOf(run).id, run.token, state ?? ""));
    return answer === 0 ? "lost" : answer === 2 ? "cancelled" : "ours";
  }

  /**
   * Takes the run's turns away: done, or dead of `problem`.
   *
   * @returns Turns left in the conversation; `undefined` when the run was not ours, or had been ended by this very
   * call, sent twice.
   */
  async finish(run: Claim, problem: string | undefined): Promise<number | undefined> {
    const words = problem === undefined ? "" : problem === "" ? "unknown" : problem;
    const args = [run.lane, headOf(run).id, run.token, this.#dedupeMs, words, MAX_DEAD];
    const left = Number(await this.#run("tqFinish", ...args));
    return left < 0 ? undefined : left;
  }

  /** Frees the run's turns for the next start. */
  async release(run: Claim, { counts }: { counts: boolean }): Promise<Owned> {
    const answer = Number(await this.#run("tqRelease", headOf(run).id, run.token, counts ? 1 : 0));
    return answer < 0 ? "lost" : answer === 2 ? "cancelled" : "ours";
  }

  /** Marks a turn as cancelled and tells every process. `isFirst`: it runs, or is the next to. */
  async cancel(id: string): Promise<{ lane: string; isFirst: boolean; head: string } | undefined> {
    const answer = await this.#run("tqCancel", id, this.cancelChannel);
    if (answer === null) return undefined;
    const [lane, isFirst, head] = toList(answer);
    return { lane: String(lane), isFirst: Number(isFirst) === 1, head: String(head) };
  }

  /** What a turn says that was accepted and never started. */
  async waiting(id: string): Promise<string | undefined> {
    const payload = await this.#run("tqWaiting", id);
    return payload === null ? undefined : String(payload);
  }

  /** The turn known under a key. */
  async idOf(key: string): Promise<string | undefined> {
    return (await this.#redis.get(`${this.#root}dup:${key}`)) ?? undefined;
  }

  /** Replaces what a waiting turn says, if it still says `before`; `key` then names it as well. */
  async amend(
    id: string,
    { before, after, key }: { before: string; after: string; key: string | undefined },
  ): Promise<"amended" | "changed" | "not-waiting"> {
    const named = key === undefined ? [] : [key, this.#dedupeMs];
    const answer = Number(await this.#run("tqAmend", id, before, after, ...named));
    return answer === 0 ? "not-waiting" : answer === 1 ? "amended" : "changed";
  }

  /** Those of the first turns of runs that somebody cancelled. */
  async cancelled(heads: readonly string[]): Promise<readonly string[]> {
    return heads.length === 0 ? [] : toList(await this.#run("tqCancelled", ...heads)).map(String);
  }

  async count(): Promise<Pick<QueueStats, "depth" | "dead" | "oldestMs">> {
    const [depth, dead, oldestMs] = toList(await this.#run("tqCount")).map(Number);
    return { depth: depth ?? 0, dead: dead ?? 0, oldestMs: oldestMs ?? 0 };
  }

  /** Conversations of unfinished turns, oldest first, in pages. */
  async lanes(first: number, count: number): Promise<{ seen: number; lanes: readonly string[] }> {
    const [seen, ...lanes] = toList(await this.#run("tqLanes", first, count));
    return { seen: Number(seen), lanes: lanes.map(String) };
  }

  async dead(limit: number): Promise<readonly DeadTurn[]> {
    return toList(await this.#run("tqDead", limit)).map((grave) => {
      const [id, key, conversation, error, at] = toList(grave);
      return {
        id: String(id),
        key: String(key),
        conversation: String(conversation),
        error: String(error),
        at: Number(at),
      };
    });
  }

  /** @returns The conversation it is waiting in now. */
  async requeue(id: string): Promise<string | undefined> {
    const lane = await this.#run("tqRequeue", id, this.#server() ?? "");
    return lane === null ? undefined : String(lane);
  }

  async discard(id: string): Promise<boolean> {
    return Number(await this.#run("tqDiscard", id)) === 1;
  }

  #run(script: MailboxScript, ...args: readonly (string | number)[]): Promise<unknown> {
    // `defineCommand` added these methods in the constructor; ioredis' types can't know that.
    const commands = this.#redis as unknown as Record<
      MailboxScript,
      (root: string, ...args: readonly (string | number)[]) => Promise<unknown>
    >;
    return commands[script](this.#root, ...args);
  }
}

function toClaimedTurn([id, key, payload, at]: readonly unknown[]): ClaimedTurn {
  return { id: String(id), key: String(key), payload: String(payload), at: Number(at) };
}

function toList(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  throw new Error(`a list was expected of Redis, not ${typeof answer}`);
}
