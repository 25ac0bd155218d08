import { z } from "zod";
import type { Json } from "../../src/core/json.ts";
import type { Store } from "../../src/core/ports.ts";

/** A channel, thread or DM in which somebody asked us something. */
export interface Place {
  readonly channelId: string;
  /** `undefined` for a DM. */
  readonly guildId: string | undefined;
  /** Up to this message everything that was for us is taken in. */
  readonly seen: string;
}

const SPACE = "discord-seen";
/** A place where nobody asked anything for this long is followed no more. */
const TTL_MS = 30 * 24 * 3_600_000;
/** Places that are looked through after a lost session; beyond, those that were quiet longest are forgotten. */
const MAX_PLACES = 1_000;

const placeSchema = z.object({ seen: z.string().regex(/^\d+$/), guildId: z.string().optional() });

/** Where we are asked things, and up to where we have read there: durable, bounded. */
export class FollowedPlaces {
  readonly #store: Store;
  readonly #maxPlaces: number;
  readonly #places = new Map<string, Place>();

  constructor(store: Store, maxPlaces: number = MAX_PLACES) {
    this.#store = store;
    this.#maxPlaces = maxPlaces;
  }

  /** Reads what earlier processes, or others beside us, have followed. */
  async load(): Promise<void> {
    for await (const [channelId, value] of this.#store.list(SPACE)) {
      const { data } = placeSchema.safeParse(value);
      if (data !== undefined) this.#keep({ channelId, guildId: data.guildId, seen: data.seen });
    }
    while (this.#places.size > this.#maxPlaces) await this.#forgetOldest();
  }

  all(): readonly Place[] {
    return [...this.#places.values()];
  }

  get(channelId: string): Place | undefined {
    return this.#places.get(channelId);
  }

  /**
   * Follows a place, or moves its mark on; never back. The mark says that what stands before it is stored, so where that may
   * still be lost it comes later.
   */
  async advance(place: Place): Promise<void> {
    const isNew = !this.#places.has(place.channelId);
    if (!this.#keep(place)) return;
    const { channelId, guildId, seen } = place;
    const mark = (upTo: string): Json => ({ seen: upTo, ...(guildId !== undefined && { guildId }) });
    // Followed at once, from before the message that made it a place of ours.
    if (isNew) await this.#store.set(SPACE, channelId, mark(idBefore(seen)), { ttlMs: TTL_MS });
    await this.#store.set(SPACE, channelId, mark(seen), { ttlMs: TTL_MS, vouches: true });
    if (this.#places.size > this.#maxPlaces) await this.#forgetOldest();
  }

  async forget(channelId: string): Promise<void> {
    this.#places.delete(channelId);
    await this.#store.delete(SPACE, channelId);
  }

  #keep(place: Place): boolean {
    const known = this.#places.get(place.channelId);
    if (known !== undefined && !isLater(place.seen, known.seen)) return false;
    this.#places.set(place.channelId, place);
    return true;
  }

  async #forgetOldest(): Promise<void> {
    const oldest = this.all().reduce((first, each) => (isLater(first.seen, each.seen) ? each : first));
    await this.forget(oldest.channelId);
  }
}

function idBefore(id: string): string {
  return String(BigInt(id) - 1n);
}

/** Ids grow with time; as text a longer one would not (discord.md §3.6). */
export function isLater(id: string, than: string): boolean {
  return BigInt(id) > BigInt(than);
}
