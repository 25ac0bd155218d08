import { setTimeout as sleep } from "node:timers/promises";
import { type Asking, Bed, lettersPerDelta, ONE_WAY_MS, STYLES, type Style } from "./bed.ts";
import { geometricMean, median, toTable } from "./numbers.ts";
import { optimum } from "./optimum.ts";
import { startUsage } from "./probe.ts";
import { type Figures, figuresOf } from "./staleness.ts";
import { TRACES, type Trace } from "./traces.ts";

const ROUNDS = 3;
/** Until every bucket is full again, in ms; the slowest is Slack's append, 100 tokens at 100 a minute. */
export const REFILL_MS = 60_000;
const IDLE_MS = 3_000;
/** Between two questions, in ms: what a bridge does until Coze is asked shall not wait for another's. */
const BETWEEN_MS = 200;

/** What the stand-ins allow for edits, so what the clairvoyant may spend (sandbox/discord/limits.ts, sandbox/slack/limits.ts). */
const BUDGETS: Readonly<Record<Style, { burst: number; perSecond: number }>> = {
  "Discord channel": { burst: 5, perSecond: 1 },
  "Slack update": { burst: 3, perSecond: 50 / 60 },
  "Slack native": { burst: 100, perSecond: 100 / 60 },
};

interface Seen {
  readonly style: Style;
  readonly trace: Trace;
  readonly asking: Asking;
  readonly figures: Figures;
}

/** One bridge for Discord, where a channel is a bucket, and one per trace for Slack, where a workspace is. */
export interface Beds extends AsyncDisposable {
  readonly discord: Bed;
  readonly slack: ReadonlyMap<string, Bed>;
}

export async function openBeds(): Promise<Beds> {
  await using stack = new AsyncDisposableStack();
  const discord = stack.use(await Bed.open({ platform: "discord" }));
  const slack = new Map<string, Bed>();
  for (const { name } of TRACES) slack.set(name, stack.use(await Bed.open({ platform: "slack" })));
  // The first answer of a process is compiled while it is given.
  await Promise.all([
    discord.ask("Discord channel", "short"),
    ...[...slack.values()].flatMap((bed) => [
      bed.ask("Slack update", "short"),
      bed.ask("Slack native", "short"),
    ]),
  ]);
  const opened = stack.move();
  return { discord, slack, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Every trace in every style, side by side: no two of them share a bucket. */
async function playRound({ discord, slack }: Beds): Promise<readonly Seen[]> {
  const jobs = TRACES.flatMap((trace, row) =>
    STYLES.map(async (style, column) => {
      await sleep((row * STYLES.length + column) * BETWEEN_MS);
      const bed = style === "Discord channel" ? discord : slack.get(trace.name);
      if (bed === undefined) throw new Error(`no bed for ${trace.name}`);
      const asking = await bed.ask(style, trace.name);
      return { style, trace, asking, figures: figuresOf(asking.growth) };
    }),
  );
  return Promise.all(jobs);
}

/** Plays the rounds, printing as it goes. */
export async function measureRows(beds: Beds, say: (text: string) => void): Promise<void> {
  const cpu = new CpuMeter(beds);
  await cpu.learnIdle();
  const readOwn = startUsage();
  const seen: Seen[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await sleep(REFILL_MS);
    await cpu.start();
    readOwn();
    const played = await playRound(beds);
    const { loopP99Ms } = readOwn();
    await cpu.stop();
    seen.push(...played);
    const lost = played.filter(({ figures }) => figures.coverage < 1).length;
    say(
      `round ${round} of ${ROUNDS}: ${played.length} answers, ${lost} not whole; the stand-ins' timers were up to ` +
        `${loopP99Ms.toFixed(0)} ms late (99 of 100)`,
    );
  }
  for (const style of STYLES) say(`\n### ${style}\n\n${tableOf(style, seen)}`);
  for (const bed of [beds.discord, ...beds.slack.values()]) {
    const complaints = bed.complaints();
    if (complaints !== "") say(`a bridge's log: ${complaints}`);
  }
  say(`\nCPU per answer: ${cpu.describe({ discord: TRACES.length, slack: TRACES.length * 2 })}`);
}

function tableOf(style: Style, seen: readonly Seen[]): string {
  const ratios: number[] = [];
  const rows = TRACES.map((trace) => {
    const own = seen.filter((each) => each.style === style && each.trace === trace);
    const mid = (pick: (figures: Figures) => number): number =>
      median(own.map(({ figures }) => pick(figures)));
    const best = bestOf(trace, style);
    const staleness = mid((figures) => figures.staleness) / 1_000;
    ratios.push(staleness / best);
    return {
      trace: trace.name,
      "S, s": staleness.toFixed(3),
      "S*, s": best.toFixed(3),
      "S ÷ S*": (staleness / best).toFixed(2),
      "S_all, s": (mid((figures) => figures.stalenessAll) / 1_000).toFixed(3),
      "pre, ms": mid((figures) => figures.pre).toFixed(0),
      "post, ms": mid((figures) => figures.post).toFixed(0),
      "lag, ms": mid((figures) => figures.lag).toFixed(0),
      coverage: Math.min(...own.map(({ figures }) => figures.coverage)).toFixed(3),
      calls: median(own.map(({ asking }) => asking.calls)),
      "429s": own.reduce((sum, { asking }) => sum + asking.refused, 0),
    };
  });
  return `${toTable(rows)}\n\nGeometric mean of S ÷ S*: ${geometricMean(ratios).toFixed(2)}`;
}

function bestOf(trace: Trace, style: Style): number {
  const letters = lettersPerDelta(trace);
  const arrivals = trace.deltas.map(({ atMs }, index) => ({ atMs, letters: letters[index] ?? 0 }));
  return optimum(arrivals, { ...BUDGETS[style], oneWayMs: ONE_WAY_MS });
}

/** CPU time of the bridges while they answer, without what they use while nothing happens. */
class CpuMeter {
  readonly #beds: Readonly<Record<"discord" | "slack", readonly Bed[]>>;
  readonly #idle = { discord: 0, slack: 0 };
  readonly #used: Record<"discord" | "slack", number[]> = { discord: [], slack: [] };
  #before: { at: number; discord: number; slack: number } = { at: 0, discord: 0, slack: 0 };

  constructor({ discord, slack }: Beds) {
    this.#beds = { discord: [discord], slack: [...slack.values()] };
  }

  async learnIdle(): Promise<void> {
    await this.start();
    await sleep(IDLE_MS);
    const after = await this.#read();
    const ms = after.at - this.#before.at;
    for (const name of ["discord", "slack"] as const)
      this.#idle[name] = (after[name] - this.#before[name]) / ms;
  }

  async start(): Promise<void> {
    this.#before = await this.#read();
  }

  async stop(): Promise<void> {
    const after = await this.#read();
    const ms = after.at - this.#before.at;
    for (const name of ["discord", "slack"] as const) {
      this.#used[name].push(after[name] - this.#before[name] - this.#idle[name] * ms);
    }
  }

  describe(answers: { discord: number; slack: number }): string {
    const each = (name: "discord" | "slack"): string => (median(this.#used[name]) / answers[name]).toFixed(0);
    return `Discord ${each("discord")} ms, Slack (mean of the two styles) ${each("slack")} ms`;
  }

  async #read(): Promise<{ at: number; discord: number; slack: number }> {
    const sum = async (name: "discord" | "slack"): Promise<number> => {
      const usages = await Promise.all(this.#beds[name].map((bed) => bed.usage()));
      return usages.reduce((total, { cpuMs }) => total + cpuMs, 0);
    };
    return { at: performance.now(), discord: await sum("discord"), slack: await sum("slack") };
  }
}
