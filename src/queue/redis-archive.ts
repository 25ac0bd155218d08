import type { Redis } from "ioredis";
import type { Json } from "../core/json.ts";
import type {
  DeadRecord,
  QueueArchive,
  QueueRecord,
  SeenRecord,
  TurnQueue,
  TurnRecord,
} from "../core/ports.ts";
import { scanKeys } from "../redis/scan-keys.ts";
import { parseJson } from "./json-text.ts";
import { DEDUPE_MS } from "./limits.ts";

/** Turns looked at per step. */
const PAGE = 200;

/**
 * What the mailboxes hold (`mailbox-scripts.ts` has their keys), one script per line that is loaded. A turn whose key
 * is known is left out; ids are new here, so the same id is the same line.
 */
const LOAD_PRELUDE = `
local root = KEYS[1]
local id, key = ARGV[1], ARGV[2]
local dup = root .. 'dup:' .. key
local known = redis.call('GET', dup)
if known == id then return 1 end
if known then return 0 end
local function count()
  if tonumber(id) > tonumber(redis.call('GET', root .. 'seq') or '0') then redis.call('SET', root .. 'seq', id) end
end
`;

/** id, key, lane, at, then fields and values */
const LOAD_TURN = `${LOAD_PRELUDE}
redis.call('HSET', root .. 'turn:' .. id, unpack(ARGV, 5))
redis.call('RPUSH', root .. 'box:' .. ARGV[3], id)
redis.call('ZADD', root .. 'age', ARGV[4], id)
redis.call('SET', dup, id)
count()
return 1
`;

/** id, key, lane, died, then fields and values */
const LOAD_DEAD = `${LOAD_PRELUDE}
redis.call('HSET', root .. 'grave:' .. id, unpack(ARGV, 5))
redis.call('ZADD', root .. 'dead', ARGV[4], id)
count()
return 1
`;

/** id, key, ms to live */
const LOAD_SEEN = `${LOAD_PRELUDE}
redis.call('SET', dup, id, 'PX', ARGV[3])
count()
return 1
`;

export interface RedisQueueArchiveOptions {
  /** Stays the caller's. */
  readonly redis: Redis;
  /** The queue's. */
  readonly prefix: string;
  /** The queue itself, open on the same Redis. */
  readonly queue: Pick<TurnQueue, "stats" | "pause">;
  /** The queue's; its default when absent. */
  readonly dedupeMs?: number | undefined;
}

/** Everything that the queue on Redis holds. Waits of parked conversations are left out: they start at once. */
export function createRedisQueueArchive(options: RedisQueueArchiveOptions): QueueArchive {
  return new RedisQueueArchive(options);
}

class RedisQueueArchive implements QueueArchive {
  readonly #redis: Redis;
  readonly #root: string;
  readonly #queue: Pick<TurnQueue, "stats" | "pause">;
  readonly #dedupeMs: number;
  /** Added to each id that is loaded, so that it is new here; known from the first load on. */
  #shift: number | undefined;

  constructor({ redis, prefix, queue, dedupeMs = DEDUPE_MS }: RedisQueueArchiveOptions) {
    this.#redis = redis;
    this.#root = `{${prefix}}:`;
    this.#queue = queue;
    this.#dedupeMs = dedupeMs;
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#redis.exists(`${this.#root}seq`)) === 0;
  }

  async *dump(): AsyncIterable<QueueRecord> {
    if ((await this.#queue.stats()).paused) yield { kind: "paused" };
    yield* this.#turns();
    yield* this.#dead();
    yield* this.#seen();
  }

  async load(lines: readonly QueueRecord[]): Promise<number> {
    this.#shift ??= Number((await this.#redis.get(`${this.#root}seq`)) ?? 0);
    // One connection keeps the order, so the answers need not be waited for one by one.
    const added = await Promise.all(lines.map((line) => this.#add(line)));
    return added.filter(Boolean).length;
  }

  async deadPayload(id: string): Promise<Json | undefined> {
    const payload = await this.#redis.hget(`${this.#root}grave:${id}`, "payload");
    return payload === null ? undefined : parseJson(payload);
  }

  /** Conversation after conversation, since only a mailbox has the order inside it. */
  async *#turns(): AsyncIterable<TurnRecord> {
    const seen = new Set<string>();
    for await (const ids of this.#pages("age")) {
      const turns = await this.#hashes("turn", ids);
      for (const lane of new Set(turns.map(({ fields }) => fields["lane"] ?? ""))) {
        if (seen.has(lane)) continue;
        seen.add(lane);
        const box = await this.#redis.lrange(`${this.#root}box:${lane}`, 0, -1);
        yield* (await this.#hashes("turn", box)).map((turn) => toTurnRecord(turn));
      }
    }
  }

  async *#dead(): AsyncIterable<DeadRecord> {
    for await (const ids of this.#pages("dead")) {
      yield* (await this.#hashes("grave", ids)).map((grave) => toDeadRecord(grave));
    }
  }

  async *#seen(): AsyncIterable<SeenRecord> {
    const root = `${this.#root}dup:`;
    for await (const names of scanKeys(this.#redis, root)) {
      const found = await Promise.all(names.map((name) => this.#findSeen(name.slice(root.length))));
      yield* found.filter((record) => record !== undefined);
    }
  }

  async #findSeen(key: string): Promise<SeenRecord | undefined> {
    const name = `${this.#root}dup:${key}`;
    const [id, leftMs] = await Promise.all([this.#redis.get(name), this.#redis.pttl(name)]);
    if (id === null) return undefined;
    const at = leftMs >= 0 ? undefined : await this.#redis.hget(`${this.#root}turn:${id}`, "at");
    // Without an end: as long as its turn is unfinished, then for the rest of the window.
    const until = at === undefined ? Date.now() + leftMs : Number(at ?? Date.now()) + this.#dedupeMs;
    return { kind: "seen", key, id: Number(id), until };
  }

  /** Ids of a sorted set, in its order. */
  async *#pages(set: "age" | "dead"): AsyncIterable<readonly string[]> {
    for (let first = 0; ; first += PAGE) {
      const ids = await this.#redis.zrange(`${this.#root}${set}`, first, String(first + PAGE - 1));
      yield ids;
      if (ids.length < PAGE) return;
    }
  }

  async #hashes(kind: "turn" | "grave", ids: readonly string[]): Promise<readonly Stored[]> {
    const found = await Promise.all(ids.map((id) => this.#redis.hgetall(`${this.#root}${kind}:${id}`)));
    return ids.flatMap((id, index) => {
      const fields = found[index];
      return fields?.["key"] === undefined ? [] : [{ id: Number(id), fields }];
    });
  }

  async #add(line: QueueRecord): Promise<boolean> {
    if (line.kind === "paused") {
      await this.#queue.pause();
      return true;
    }
    const id = String(line.id + (this.#shift ?? 0));
    if (line.kind === "seen") {
      const leftMs = Math.ceil(line.until - Date.now());
      return leftMs > 0 && this.#run(LOAD_SEEN, id, line.key, leftMs);
    }
    const fields = line.kind === "turn" ? turnFields(line) : deadFields(line);
    const script = line.kind === "turn" ? LOAD_TURN : LOAD_DEAD;
    return this.#run(script, id, line.key, line.conversation, line.at, ...Object.entries(fields).flat());
  }

  async #run(script: string, ...args: readonly (string | number)[]): Promise<boolean> {
    return (await this.#redis.eval(script, 1, this.#root, ...args.map(String))) === 1;
  }
}

interface Stored {
  readonly id: number;
  readonly fields: Readonly<Record<string, string>>;
}

type Fields = Readonly<Record<string, string | number>>;

function commonFields({ key, conversation, payload, merge }: TurnRecord | DeadRecord): Fields {
  return {
    key,
    lane: conversation,
    payload: JSON.stringify(payload),
    ...(merge !== undefined && { group: merge.group, written: merge.at }),
  };
}

function turnFields(turn: TurnRecord): Fields {
  const { at, starts, tries, crashes, batch, cancelled, state } = turn;
  return {
    ...commonFields(turn),
    at,
    starts,
    tries,
    crashes,
    ...(batch > 0 && { n: batch }),
    ...(cancelled && { cancel: "1" }),
    ...(state !== undefined && { state: JSON.stringify(state) }),
  };
}

function deadFields(dead: DeadRecord): Fields {
  return { ...commonFields(dead), error: dead.error, died: dead.at, at: dead.at };
}

function toTurnRecord({ id, fields }: Stored): TurnRecord {
  const state = fields["state"];
  return {
    kind: "turn",
    ...toFacts({ id, fields }),
    at: Number(fields["at"]),
    cancelled: fields["cancel"] !== undefined,
    batch: Number(fields["n"] ?? 0),
    starts: Number(fields["starts"] ?? 0),
    tries: Number(fields["tries"] ?? 0),
    crashes: Number(fields["crashes"] ?? 0),
    ...(state !== undefined && { state: parseJson(state) }),
  };
}

function toDeadRecord({ id, fields }: Stored): DeadRecord {
  const error = fields["error"] ?? "";
  return { kind: "dead", ...toFacts({ id, fields }), error, at: Number(fields["died"]) };
}

function toFacts({ id, fields }: Stored): Omit<DeadRecord, "kind" | "error" | "at"> {
  const { group } = fields;
  return {
    id,
    key: fields["key"] ?? "",
    conversation: fields["lane"] ?? "",
    payload: parseJson(fields["payload"] ?? "null"),
    ...(group !== undefined && { merge: { group, at: Number(fields["written"]) } }),
  };
}
