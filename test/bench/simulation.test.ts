import { describe, expect, it } from "vitest";
import { MESSAGES } from "../../adapters/discord/pacer.ts";
import { SLACK_LIMITS } from "../../adapters/slack/pacer.ts";
import { randomTraces } from "../../bench/pacing/random-traces.ts";
import { planAsInReference } from "../../bench/pacing/reference-policy.ts";
import { simulate } from "../../bench/pacing/simulation.ts";
import { planPermit } from "../../src/core/pacer.ts";

/** What may be beyond the bucket: nothing but rounding. */
const ROUNDING = 1e-6;

describe.each([
  ["Discord", MESSAGES, planPermit],
  ["Slack update", SLACK_LIMITS.update, planPermit],
  ["Slack append", SLACK_LIMITS.append, planPermit],
  ["Discord, as in pacing.md", MESSAGES, planAsInReference],
  ["Slack update, as in pacing.md", SLACK_LIMITS.update, planAsInReference],
])("the pace of %s", (_, limits, plan) => {
  it.each(randomTraces().map(({ kind, pieces }, index) => [index, kind, pieces] as const))(
    "keeps to the bucket and ends soon: answer %i, %s",
    (_index, _kind, pieces) => {
      const { edits, lagMs, staleness } = simulate(pieces, limits, plan);
      const { burst, tokensPerSecond } = limits;
      let tokens = burst;
      let before = 0;
      for (const at of edits) {
        tokens = Math.min(burst, tokens + ((at - before) / 1_000) * tokensPerSecond) - 1;
        before = at;
        expect(tokens).toBeGreaterThan(-ROUNDING);
      }
      // A letter's way, what is kept for the end, and the rest of a token after a pause that was none.
      expect(lagMs).toBeLessThan(40 + 1_000);
      expect(staleness).toBeGreaterThanOrEqual(0.04);
    },
  );
});
