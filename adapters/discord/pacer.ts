import type { BucketLimits } from "../../src/core/pacer.ts";

/** After an edit, what comes is collected this long before the next one (pacing.md §4.8). */
const COLLECT_MS = 260;

/** 5 per 5 s, leaky: create, edit and webhook each count apart (discord.md §1.1). */
export const DISCORD_BUCKET: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: COLLECT_MS };
