import { MESSAGES } from "../../adapters/discord/pacer.ts";
import { SLACK_LIMITS } from "../../adapters/slack/pacer.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";
import { ONE_WAY_MS, timedLetters } from "./bed.ts";
import { geometricMean, toTable } from "./numbers.ts";
import { optimum, type TimedLetters } from "./optimum.ts";
import type { Style } from "./programs.ts";
import { KINDS, randomTraces } from "./random-traces.ts";
import { planAsInReference } from "./reference-policy.ts";
import { BUDGETS } from "./rows.ts";
import { type Shown, simulate } from "./simulation.ts";
import { REFERENCE_TRACES, TRACES } from "./traces.ts";

/** The limits that the product paces edits by. */
const LIMITS: Readonly<Partial<Record<Style, BucketLimits>>> = {
  "Discord channel": MESSAGES,
  "Slack update": SLACK_LIMITS.update,
};

/** The pacer alone against the optimum, in simulated time: what is left is the machine, the drawing and the network. */
export function measurePolicy(say: (text: string) => void): void {
  const random = randomTraces();
  for (const [style, limits] of Object.entries(LIMITS) as [Style, BucketLimits][]) {
    const played = TRACES.map((trace) => ({ name: trace.name, ...play(timedLetters(trace), style, limits) }));
    say(`\n### ${style}, the pacer alone\n\n${toTable(played.map(toRow))}`);
    const six = played.filter(({ name }) => REFERENCE_TRACES.some((trace) => trace.name === name));
    const [ours, theirs] = [six.map(({ ratio }) => ratio), six.map(({ reference }) => reference)];
    say(`\nGeometric mean over the first six: ${meanOf(ours)}, as in pacing.md ${meanOf(theirs)}`);
    const kinds = KINDS.map((kind) => {
      const own = random
        .filter((each) => each.kind === kind)
        .map(({ pieces }) => play(pieces, style, limits));
      const all = own.map(({ ratio }) => ratio);
      const reference = meanOf(own.map((each) => each.reference));
      return {
        kind,
        "S ÷ S*": meanOf(all),
        worst: Math.max(...all).toFixed(2),
        [AS_IN_REFERENCE]: reference,
      };
    });
    say(`\nTen random answers of each kind:\n\n${toTable(kinds)}`);
  }
}

const AS_IN_REFERENCE = "as in pacing.md";

function meanOf(ratios: readonly number[]): string {
  return geometricMean(ratios).toFixed(2);
}

interface Played {
  readonly shown: Shown;
  readonly best: number;
  readonly ratio: number;
  /** The ratio under the policy of docs/reference/pacing.md. */
  readonly reference: number;
}

function play(pieces: readonly TimedLetters[], style: Style, limits: BucketLimits): Played {
  const shown = simulate(pieces, limits);
  const best = optimum(pieces, { ...BUDGETS[style], oneWayMs: ONE_WAY_MS });
  const reference = simulate(pieces, limits, planAsInReference).staleness / best;
  return { shown, best, ratio: shown.staleness / best, reference };
}

function toRow({ name, shown, best, ratio, reference }: Played & { name: string }): Record<string, string> {
  return {
    trace: name,
    "S, s": shown.staleness.toFixed(3),
    "S*, s": best.toFixed(3),
    "S ÷ S*": ratio.toFixed(2),
    [AS_IN_REFERENCE]: reference.toFixed(2),
    "lag, ms": shown.lagMs.toFixed(0),
    edits: String(shown.edits.length),
  };
}
