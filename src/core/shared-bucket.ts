import type { BucketLimits } from "./pacer.ts";

/** Buckets out of which several processes spend. Implemented in `src/store`. */
export interface SharedBuckets {
  /**
   * @param name - The same in all processes.
   * @param speed - Ms of the caller's clock in one of the world: all times below are the caller's.
   */
  of(name: string, limits: BucketLimits, speed: number): SharedBucket;
}

/** One bucket. Nothing here rejects: who does not answer says nothing. */
export interface SharedBucket {
  /** Takes one token if at least `needs` are there and nobody closed it. `undefined` when there is nobody to ask. */
  take(ask: BucketAsk): Promise<BucketView | undefined>;
  /** Tells the others; lost when there is nobody to tell. */
  tell(news: BucketNews): void;
}

export interface BucketAsk {
  readonly needs: number;
  /** Replies of this process that grow out of the bucket; counted in until they are told anew or a lease is over. */
  readonly sharers: number;
  /** Tokens that this process has spent while there was nobody to ask. */
  readonly owed: number;
}

/** The bucket as all see it, after what was asked. Times are in ms from then on. */
export interface BucketView {
  readonly taken: boolean;
  readonly tokens: number;
  readonly closedForMs: number;
  /** Set where the platform counts in fixed windows. */
  readonly windowEndsInMs?: number;
  /** Replies of all processes, those of this one included. */
  readonly sharers: number;
  /** The platform refused: only a sure burst is believed in. */
  readonly doubted: boolean;
}

export type BucketNews =
  /** The platform refused: until then nobody goes, then so many tokens are there. */
  | { readonly closedForMs: number; readonly tokens: number }
  /** The platform told what is left: there are no more than that. */
  | { readonly atMost: number; readonly windowEndsInMs?: number }
  /** Tokens that were counted and are not: taken and not used, or, below 0, thought to have come back. */
  | { readonly more: number }
  | { readonly sharers: number };
