import { setTimeout as sleep } from "node:timers/promises";
import { type Asking, Bed, complaintsOf, ONE_WAY_MS, timedLetters } from "./bed.ts";
import { geometricMean, median, toTable } from "./numbers.ts";
import { optimum } from "./optimum.ts";
import { startUsage, type Usage } from "./probe.ts";
import { type Program, STYLES, type Style } from "./programs.ts";
import { type Figures, figuresOf } from "./staleness.ts";
import { REFERENCE_TRACES, TRACES, type Trace } from "./traces.ts";

const ROUNDS = 3;
/** Until every bucket is full again, in ms; the slowest is Slack's append, 100 tokens at 100 a minute. */
const REFILL_MS = 60_000;
/** The same after the short answers that warm a program up. */
const WARM_REFILL_MS = 10_000;
/** Seconds of which the median says what a program uses while nothing happens: one in a while collects garbage. */
const IDLE_SECONDS = 11;
/** Between two questions, in ms: what a bridge does until Coze is asked shall not wait for another's. */
const BETWEEN_MS = 200;

/** What the stand-ins allow for edits, so what the clairvoyant may spend (sandbox/discord/limits.ts, sandbox/slack/limits.ts). */
export const BUDGETS: Readonly<Record<Style, { burst: number; perSecond: number }>> = {
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

/**
 * A program's beds: one for Discord, where a channel is a bucket; in Slack, where a workspace is, one for each style and
 * trace, so that each style has a CPU time of its own.
 */
export class Beds implements AsyncDisposable {
  readonly program: Program;
  readonly #beds: ReadonlyMap<string, Bed>;
  readonly #stack: AsyncDisposableStack;
  readonly #restedAt: Map<Style, number>;

  private constructor(program: Program, beds: ReadonlyMap<string, Bed>, stack: AsyncDisposableStack) {
    this.program = program;
    this.#beds = beds;
    this.#stack = stack;
    this.#restedAt = new Map(STYLES.map((style) => [style, performance.now() + WARM_REFILL_MS]));
  }

  static async open(program: Program): Promise<Beds> {
    await using stack = new AsyncDisposableStack();
    const beds = new Map<string, Bed>();
    const warm: Promise<unknown>[] = [];
    for (const style of STYLES) {
      for (const { name } of TRACES) {
        const key = keyOf(style, name);
        if (beds.has(key)) continue;
        const platform = style === "Discord channel" ? "discord" : "slack";
        const bed = stack.use(await Bed.open({ program, platform }));
        beds.set(key, bed);
        // The first answer of a process is compiled while it is given.
        warm.push(bed.ask(style, "short"));
      }
    }
    await Promise.all(warm);
    return new Beds(program, beds, stack.move());
  }

  /** The bed where a trace is played in a style. */
  bed(style: Style, trace: string): Bed {
    const bed = this.#beds.get(keyOf(style, trace));
    if (bed === undefined) throw new Error(`no bed for ${trace}`);
    return bed;
  }

  /** All beds where a style is played. */
  bedsOf(style: Style): readonly Bed[] {
    return [...new Set(TRACES.map(({ name }) => this.bed(style, name)))];
  }

  /** Uses the beds of a style when all their buckets are full again. Other beds may be used meanwhile. */
  async whenRested<T>(style: Style, use: () => Promise<T>): Promise<T> {
    await sleep(Math.max(0, (this.#restedAt.get(style) ?? 0) - performance.now()));
    try {
      return await use();
    } finally {
      this.#restedAt.set(style, performance.now() + REFILL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function keyOf(style: Style, trace: string): string {
  return style === "Discord channel" ? style : `${style}, ${trace}`;
}

/** Every trace in one style, side by side: no two of them share a bucket. The other styles rest meanwhile. */
async function playStyle(beds: Beds, style: Style): Promise<readonly Seen[]> {
  const jobs = TRACES.map(async (trace, row) => {
    await sleep(row * BETWEEN_MS);
    const asking = await beds.bed(style, trace.name).ask(style, trace.name);
    return { style, trace, asking, figures: figuresOf(asking.growth) };
  });
  return Promise.all(jobs);
}

/** What was measured of one program. */
interface Measured {
  readonly name: string;
  readonly beds: Beds;
  readonly seen: Seen[];
  readonly cpu: CpuMeter;
}

/** Plays the rounds of all programs in turn, printing as it goes. */
export async function measureRows(programs: readonly Beds[], say: (text: string) => void): Promise<void> {
  const measured: readonly Measured[] = programs.map((beds) => ({
    name: beds.program.name,
    beds,
    seen: [],
    cpu: new CpuMeter(beds),
  }));
  await Promise.all(measured.map(({ cpu }) => cpu.learnIdle()));
  const readOwn = startUsage();
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const style of STYLES) {
      for (const own of measured) {
        const words = await own.beds.whenRested(style, () => playMeasured(own, style, readOwn));
        say(`${own.name}, ${style}, round ${round} of ${ROUNDS}: ${words}`);
      }
    }
  }
  for (const style of STYLES) say(`\n### ${style}\n\n${tableOf(style, measured)}`);
  if (measured.length > 1) say(`\n### Ratios\n\n${ratiosOf(measured)}`);
  for (const { name, beds } of measured) {
    const complaints = complaintsOf(STYLES.flatMap((style) => beds.bedsOf(style)));
    if (complaints !== "") say(`${name}'s log: ${complaints}`);
  }
  for (const { name, cpu } of measured) say(`\nCPU per answer, ${name}: ${cpu.describe()}`);
}

async function playMeasured(
  { beds, seen, cpu }: Measured,
  style: Style,
  readOwn: () => Usage,
): Promise<string> {
  await cpu.start();
  readOwn();
  const played = await playStyle(beds, style);
  const { loopP99Ms } = readOwn();
  await cpu.stop(style);
  seen.push(...played);
  const lost = played.filter(({ figures }) => figures.coverage < 1).length;
  return (
    `${played.length} answers, ${lost} not whole; the stand-ins' timers were up to ` +
    `${loopP99Ms.toFixed(0)} ms late (99 of 100)`
  );
}

/** What is shown of a style and a trace, in this order. */
interface Row {
  readonly staleness: number;
  readonly stalenessAll: number;
  readonly pre: number;
  readonly post: number;
  /** Of the answers that are whole, since one that is cut has no end; NaN when none is. */
  readonly lag: number;
  readonly coverage: number;
  readonly calls: number;
  readonly refused: number;
}

function rowOf({ seen }: Measured, style: Style, trace: Trace): Row {
  const own = seen.filter((each) => each.style === style && each.trace === trace);
  const mid = (pick: (figures: Figures) => number): number => median(own.map(({ figures }) => pick(figures)));
  const whole = own.filter(({ figures }) => figures.coverage === 1);
  return {
    staleness: mid((figures) => figures.staleness) / 1_000,
    stalenessAll: mid((figures) => figures.stalenessAll) / 1_000,
    pre: mid((figures) => figures.pre),
    post: mid((figures) => figures.post),
    lag: median(whole.map(({ figures }) => figures.lag)),
    coverage: Math.min(...own.map(({ figures }) => figures.coverage)),
    calls: median(own.map(({ asking }) => asking.calls)),
    refused: own.reduce((sum, { asking }) => sum + asking.refused, 0),
  };
}

/** The figures of all programs stand side by side, in their order. */
function tableOf(style: Style, measured: readonly Measured[]): string {
  const best = new Map(TRACES.map((trace) => [trace, bestOf(trace, style)]));
  const ratioOf = (row: Row, trace: Trace): number => row.staleness / (best.get(trace) ?? Number.NaN);
  const rows = TRACES.map((trace) => {
    const all = measured.map((each) => rowOf(each, style, trace));
    const each = (pick: (row: Row) => number, digits: number): string =>
      all.map((row) => (Number.isNaN(pick(row)) ? "–" : pick(row).toFixed(digits))).join(" / ");
    return {
      trace: trace.name,
      "S, s": each(({ staleness }) => staleness, 3),
      "S*, s": (best.get(trace) ?? Number.NaN).toFixed(3),
      "S ÷ S*": each((row) => ratioOf(row, trace), 2),
      "S_all, s": each(({ stalenessAll }) => stalenessAll, 3),
      "pre, ms": each(({ pre }) => pre, 0),
      "post, ms": each(({ post }) => post, 0),
      "lag, ms": each(({ lag }) => lag, 0),
      coverage: each(({ coverage }) => coverage, 3),
      calls: each(({ calls }) => calls, 0),
      "429s": each(({ refused }) => refused, 0),
    };
  });
  const names = measured.length > 1 ? `Each cell: ${measured.map(({ name }) => name).join(" / ")}\n\n` : "";
  const meanOver = (traces: readonly Trace[]): string =>
    measured
      .map((own) => geometricMean(traces.map((trace) => ratioOf(rowOf(own, style, trace), trace))).toFixed(2))
      .join(" / ");
  const means = `${meanOver(REFERENCE_TRACES)}; with gusts ${meanOver(TRACES)}`;
  return `${names}${toTable(rows)}\n\nGeometric mean of S ÷ S*: ${means}`;
}

/** What is divided, with the geometric mean over the traces. */
const RATIOS: Readonly<Record<string, (row: Row) => number>> = {
  S: ({ staleness }) => staleness,
  S_all: ({ stalenessAll }) => stalenessAll,
  "pre + post": ({ pre, post }) => pre + post,
  calls: ({ calls }) => calls,
};

/** The first program's figures divided by another's: below 1 where the first is quicker or needs less. */
function ratiosOf([first, ...others]: readonly Measured[]): string {
  if (first === undefined) return "";
  const rows = others.flatMap((other) =>
    STYLES.map((style) => {
      const ratio = (pick: (row: Row) => number): string =>
        geometricMean(
          TRACES.map((trace) => pick(rowOf(first, style, trace)) / pick(rowOf(other, style, trace))),
        ).toFixed(2);
      const means = Object.entries(RATIOS).map(([name, pick]) => [name, ratio(pick)] as const);
      const cpu = first.cpu.perAnswer(style) / other.cpu.perAnswer(style);
      return {
        [`${first.name} ÷ ${other.name}`]: style,
        ...Object.fromEntries(means),
        "CPU per answer": cpu.toFixed(2),
      };
    }),
  );
  return toTable(rows);
}

function bestOf(trace: Trace, style: Style): number {
  return optimum(timedLetters(trace), { ...BUDGETS[style], oneWayMs: ONE_WAY_MS });
}

/** CPU time of a program's processes while they answer, without what they use while nothing happens. */
class CpuMeter {
  readonly #beds: ReadonlyMap<Style, readonly Bed[]>;
  /** Of all processes of a style together, per ms. */
  readonly #idle = new Map<Style, number>();
  readonly #used: ReadonlyMap<Style, number[]>;
  #before: Reading | undefined;

  constructor(beds: Beds) {
    this.#beds = new Map(STYLES.map((style) => [style, beds.bedsOf(style)]));
    this.#used = new Map(STYLES.map((style) => [style, []]));
  }

  async learnIdle(): Promise<void> {
    const readings = [await this.#read()];
    for (let second = 1; second <= IDLE_SECONDS; second += 1) {
      await sleep(1_000);
      readings.push(await this.#read());
    }
    for (const [style, beds] of this.#beds) {
      const rates = beds.map((_, bed) =>
        median(readings.slice(1).map((after, index) => rateOf(readings[index] ?? after, after, style, bed))),
      );
      this.#idle.set(style, sum(rates));
    }
  }

  async start(): Promise<void> {
    this.#before = await this.#read();
  }

  /** @param style - What was played since the start. */
  async stop(style: Style): Promise<void> {
    const after = await this.#read();
    const before = this.#before ?? after;
    const idle = (this.#idle.get(style) ?? 0) * (after.at - before.at);
    const used = sum(after.cpuMs.get(style) ?? []) - sum(before.cpuMs.get(style) ?? []);
    this.#used.get(style)?.push(used - idle);
  }

  /** In ms. */
  perAnswer(style: Style): number {
    return median(this.#used.get(style) ?? []) / TRACES.length;
  }

  describe(): string {
    const each = STYLES.map((style) => `${style} ${this.perAnswer(style).toFixed(0)} ms`);
    const idle = sum([...this.#idle.values()]) / [...this.#beds.values()].flat().length;
    return `${each.join(", ")}; taken off for an idle process: ${(idle * 1_000).toFixed(1)} ms a second`;
  }

  async #read(): Promise<Reading> {
    const read = async ([style, beds]: [Style, readonly Bed[]]): Promise<[Style, number[]]> => [
      style,
      await Promise.all(beds.map(async (bed) => (await bed.usage()).cpuMs)),
    ];
    return { at: performance.now(), cpuMs: new Map(await Promise.all([...this.#beds].map(read))) };
  }
}

/** CPU time of each style's processes so far, in ms. */
interface Reading {
  readonly at: number;
  readonly cpuMs: ReadonlyMap<Style, readonly number[]>;
}

function rateOf(before: Reading, after: Reading, style: Style, bed: number): number {
  const used = (after.cpuMs.get(style)?.[bed] ?? 0) - (before.cpuMs.get(style)?.[bed] ?? 0);
  return used / (after.at - before.at);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
