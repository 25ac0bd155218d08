import { performance } from "node:perf_hooks";
import { startUsage } from "../pacing/probe.ts";

/** What to read: this many streams at once, each from its beginning to its end. */
export interface Order {
  readonly baseUrl: string;
  readonly streams: number;
}

/** What a reader found in one stream. */
export interface Found {
  readonly events: number;
  readonly deltas: number;
  /** UTF-16 units of all deltas' texts, reasoning included. */
  readonly characters: number;
}

/** What an order came to, and what it cost; the found of all streams together. */
export interface Result extends Found {
  readonly ms: number;
  /** Of all threads of the process. */
  readonly cpuMs: number;
  /** Highest during the order, above what the process used before. */
  readonly rssBytes: number;
  /** 0 for a single stream, which leaves no timer on time. */
  readonly loopP99Ms: number;
}

/** A client under one address; each call of the result reads one stream. */
export type OpenClient = (baseUrl: string) => () => Promise<Found>;

/** Makes this process a reader: answers its parent's orders, one at a time. The same for both clients. */
export function answerOrders(open: OpenClient): void {
  const usage = startUsage();
  // One client for an address, as programs have it: its connections are used again.
  const clients = new Map<string, () => Promise<Found>>();
  process.on("message", (order: Order) => {
    carryOut(order).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  // The bench is gone when the channel closes, whatever ended it.
  process.once("disconnect", () => process.exit());
  process.send?.("ready");

  async function carryOut({ baseUrl, streams }: Order): Promise<Result> {
    const loop = streams > 1;
    const read = clients.get(baseUrl) ?? open(baseUrl);
    clients.set(baseUrl, read);
    const before = usage({ loop });
    const from = performance.now();
    const all = await Promise.all(Array.from({ length: streams }, read));
    const ms = performance.now() - from;
    const after = usage({ loop });
    const sum = (pick: (found: Found) => number): number =>
      all.reduce((total, found) => total + pick(found), 0);
    return {
      events: sum(({ events }) => events),
      deltas: sum(({ deltas }) => deltas),
      characters: sum(({ characters }) => characters),
      ms,
      cpuMs: after.cpuMs - before.cpuMs,
      rssBytes: after.peakRssBytes - before.rssBytes,
      loopP99Ms: loop ? after.loopP99Ms : 0,
    };
  }
}
