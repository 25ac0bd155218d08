import { MESSAGES } from "../../adapters/discord/pacer.ts";
import { SLACK_LIMITS } from "../../adapters/slack/pacer.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";
import { ONE_WAY_MS, timedLetters } from "./bed.ts";
import { geometricMean, toTable } from "./numbers.ts";
import { optimum, type TimedLetters } from "./optimum.ts";
import type { Style } from "./programs.ts";
import { KINDS, randomTraces } from "./random-traces.ts";
import { BUDGETS } from "./rows.ts";
import { simulate } from "./simulation.ts";
import { TRACES } from "./traces.ts";

/** The limits that the product paces edits by. */
const LIMITS: Readonly<Partial<Record<Style, BucketLimits>>> = {
  "Discord channel": MESSAGES,
  "Slack update": SLACK_LIMITS.update,
};

/** The pacer alone against the optimum, in simulated time: what is left is the machine, the drawing and the network. */
export function measurePolicy(say: (text: string) => void): void {
  const random = randomTraces();
  for (const [style, limits] of Object.entries(LIMITS) as [Style, BucketLimits][]) {
    const rows = TRACES.map((trace) => ({ trace: trace.name, ...rowOf(timedLetters(trace), style, limits) }));
    say(`\n### ${style}, the pacer alone\n\n${toTable(rows)}`);
    const ratios = KINDS.map((kind) => {
      const own = random.filter((each) => each.kind === kind);
      const all = own.map(({ pieces }) => Number(rowOf(pieces, style, limits)["S ÷ S*"]));
      return { kind, "S ÷ S*": geometricMean(all).toFixed(2), worst: Math.max(...all).toFixed(2) };
    });
    say(`\nTen random answers of each kind:\n\n${toTable(ratios)}`);
  }
}

function rowOf(pieces: readonly TimedLetters[], style: Style, limits: BucketLimits): Record<string, string> {
  const { staleness, lagMs, edits } = simulate(pieces, limits);
  const best = optimum(pieces, { ...BUDGETS[style], oneWayMs: ONE_WAY_MS });
  return {
    "S, s": staleness.toFixed(3),
    "S*, s": best.toFixed(3),
    "S ÷ S*": (staleness / best).toFixed(2),
    "lag, ms": lagMs.toFixed(0),
    edits: String(edits.length),
  };
}
