import type { Gate, Gates } from "../../src/core/gate.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";

/** After an edit, what comes is collected this long before the next one (pacing.md §4.8 has 260). */
const COLLECT_MS = 150;

/** 5 per 5 s, leaky: create, edit and webhook each count apart (discord.md §1.1). */
const PER_CHANNEL: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: COLLECT_MS };
/**
 * Where each answer's headers say what was left one way ago. What has come back since is margin already, so 0.02 token beyond
 * what a call needs are enough; pacing.md §4.3 has 0.06 (docs/decisions/0005-numbers-of-the-pacer.md).
 */
export const MESSAGES: BucketLimits = { ...PER_CHANNEL, marginTokens: 0.02 };
/** One per 0.25 s and channel (discord.md §1.1). */
const REACTIONS: BucketLimits = { burst: 1, tokensPerSecond: 4, minGapMs: 0 };
/**
 * Of all calls with the bot's token together: 50 in any second (discord.md §1.2). Burst and rate together stay below
 * that: some are left to calls that nobody paces, such as the registration of the command, and some to what arrives
 * late on a busy machine, together with what follows it.
 */
const OVERALL: BucketLimits = { burst: 4, tokensPerSecond: 38, minGapMs: 0 };

/** The gates of one bot, by Discord's own buckets. */
export class DiscordPacer {
  /** Behind all others but the webhooks'; by itself for what has no bucket of its own, such as typing. */
  readonly overall: Gate;
  readonly #gates: Gates;

  constructor(gates: Gates) {
    this.#gates = gates;
    this.overall = gates.of("discord:all", OVERALL);
  }

  /** Making or editing messages of a channel. */
  messages(call: "create" | "edit", channelId: string): Gate {
    return this.#gates.of(`discord:${call}:${channelId}`, MESSAGES, this.overall);
  }

  /** Reading messages of a channel. */
  list(channelId: string): Gate {
    return this.#gates.of(`discord:list:${channelId}`, PER_CHANNEL, this.overall);
  }

  /** Reactions in a channel. */
  reactions(channelId: string): Gate {
    return this.#gates.of(`discord:react:${channelId}`, REACTIONS, this.overall);
  }

  /** What goes through the interaction of one turn: outside the overall limit (discord.md §1.2). */
  hook(turnId: string): Gate {
    return this.#gates.of(`discord:hook:${turnId}`, MESSAGES);
  }
}
