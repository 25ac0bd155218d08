/**
 * The least staleness that somebody who knows the whole answer beforehand can reach (docs/reference/pacing.md §3), who
 * must also end promptly, as the table of §4 has it: the last edit goes out with the last letter.
 *
 * One message. Its create counts against a limit of its own, so it costs nothing and happens at the first letter; every
 * edit takes a token. Neither the round trip nor "at most one call in flight" holds the clairvoyant up. An answer over
 * several messages gets a create for each, which this model does not know: there the optimum is a little lower.
 */

/** Letters that arrived, by time step. */
export interface Arrival {
  readonly step: number;
  readonly letters: number;
}

/** A full bucket holds `burst` tokens; a new one comes every `everySteps` steps. */
export interface Budget {
  readonly burst: number;
  readonly everySteps: number;
}

/** The time grid on which the optimum is exact, in ms. */
const GRID_MS = 10;

/** An edit has gone out and shows all that had arrived. */
interface State {
  /** When the bucket will be full again: its level and the clock in one number. */
  readonly fullAt: number;
  /** What the letters shown so far have waited, in letters × steps. */
  readonly waited: number;
}

/**
 * What all letters together must wait at least, in letters × steps.
 *
 * An edit that moves to an earlier moment, down to the last arrival it shows, makes nobody wait longer, and its token is
 * back earlier. So edits happen only at an arrival or at the moment a token appears, and it is enough to look at these.
 *
 * @param arrivals - In order, one per step at most, each with a letter at least.
 */
export function leastWait(arrivals: readonly Arrival[], budget: Budget): number {
  if (arrivals.length === 0) return 0;
  const search = new Search(arrivals, budget);
  // A good solution first: whatever cannot be better than it need not be looked at.
  const good = search.run({ width: GOOD_WIDTH, below: Number.POSITIVE_INFINITY });
  return search.run({ width: Number.POSITIVE_INFINITY, below: good });
}

/** States that the first, narrow run keeps of each moment. */
const GOOD_WIDTH = 4;

class Search {
  readonly #arrivals: readonly Arrival[];
  readonly #budget: Budget;
  readonly #waits: Waits;
  /** Least wait of the arrivals from an index on, by how many edits may show them at any moment. */
  readonly #bounds: readonly Float64Array[];
  readonly #spared: number;
  readonly #last: number;

  constructor(arrivals: readonly Arrival[], budget: Budget) {
    this.#arrivals = arrivals;
    this.#budget = budget;
    this.#waits = new Waits(arrivals);
    this.#spared = (budget.burst - 1) * budget.everySteps;
    this.#last = arrivals.at(-1)?.step ?? 0;
    const start = { step: arrivals[0]?.step ?? 0, fullAt: arrivals[0]?.step ?? 0 };
    this.#bounds = withoutBucket(arrivals, this.#waits, this.#mostEdits(start));
  }

  /** @returns The least wait it finds, or `below` when nothing is less. */
  run({ width, below }: { width: number; below: number }): number {
    const first = this.#arrivals[0]?.step ?? 0;
    const steps = new Pending(first, { fullAt: first, waited: 0 });
    let best = below;
    for (let taken = steps.take(); taken !== undefined; taken = steps.take()) {
      const { step, states } = taken;
      const next = this.#waits.arrivedBy(step);
      const promising = undominated(states)
        .map((state) => ({ state, bound: state.waited + this.#bound(next, { step, fullAt: state.fullAt }) }))
        .filter(({ bound }) => bound < best);
      if (promising.length > width) promising.sort((a, b) => a.bound - b.bound).length = width;
      for (const { state } of promising) {
        if (next === this.#arrivals.length) best = Math.min(best, state.waited);
        else this.#goOn(state, next, steps);
      }
    }
    return best;
  }

  #goOn({ fullAt, waited }: State, next: number, steps: Pending): void {
    const { everySteps } = this.#budget;
    const legalFrom = fullAt - this.#spared;
    for (const at of candidates(this.#arrivals, next, { fullAt, legalFrom, everySteps })) {
      if (at > this.#last) break;
      const state = {
        fullAt: Math.max(fullAt, at) + everySteps,
        waited: waited + this.#waits.between(next, at),
      };
      steps.add(at, state);
    }
  }

  /** What the arrivals from `next` on wait at least, whatever comes. */
  #bound(next: number, from: { step: number; fullAt: number }): number {
    if (next === this.#arrivals.length) return 0;
    return this.#bounds[this.#mostEdits(from)]?.[next] ?? 0;
  }

  /** Edits that can still count: as many as there are tokens until the last arrival, and one for what rounding takes. */
  #mostEdits({ step, fullAt }: { step: number; fullAt: number }): number {
    const { burst, everySteps } = this.#budget;
    const left = this.#last - step;
    const missing = Math.max(0, fullAt - step);
    return Math.floor(burst + (left - missing) / everySteps + 1e-9) + 1;
  }
}

/** Least wait of the arrivals from each index on, for up to `most` edits that no bucket holds up. */
function withoutBucket(arrivals: readonly Arrival[], waits: Waits, most: number): readonly Float64Array[] {
  const count = arrivals.length;
  const rows = [new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY, 0, count)];
  for (let edits = 1; edits <= most; edits += 1) {
    const fewer = rows[edits - 1] ?? rows[0];
    const row = new Float64Array(count + 1);
    for (let from = 0; from < count; from += 1) {
      let least = Number.POSITIVE_INFINITY;
      for (let to = from + 1; to <= count; to += 1) {
        const wait = waits.shownAtLast(from, to);
        // Later ends only make this edit's letters wait longer.
        if (wait >= least) break;
        least = Math.min(least, wait + (fewer?.[to] ?? 0));
      }
      row[from] = least;
    }
    rows.push(row);
  }
  return rows;
}

/**
 * Moments for the next edit: the one its token appears at, if something waits for it, and the arrivals from then on.
 * None so late that an edit before it would have been free: where the bucket is full, and full again by then.
 */
function candidates(
  arrivals: readonly Arrival[],
  next: number,
  { fullAt, legalFrom, everySteps }: { fullAt: number; legalFrom: number; everySteps: number },
): number[] {
  const moments: number[] = [];
  if (legalFrom > (arrivals[next]?.step ?? 0)) moments.push(legalFrom);
  let free = Number.POSITIVE_INFINITY;
  for (let index = next; index < arrivals.length; index += 1) {
    const step = arrivals[index]?.step ?? 0;
    if (step >= free + everySteps) break;
    if (step >= fullAt) free = Math.min(free, step);
    if (step >= legalFrom && step !== moments[0]) moments.push(step);
  }
  return moments;
}

/** Of two states at one moment, the one with the fuller bucket and the shorter wait is enough. */
function undominated(states: readonly State[]): State[] {
  const kept: State[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const state of states.toSorted((a, b) => a.fullAt - b.fullAt || a.waited - b.waited)) {
    if (state.waited >= least) continue;
    least = state.waited;
    kept.push(state);
  }
  return kept;
}

/** What letters wait for an edit, from prefix sums. */
class Waits {
  readonly #arrivals: readonly Arrival[];
  readonly #letters: number[] = [0];
  readonly #moments: number[] = [0];

  constructor(arrivals: readonly Arrival[]) {
    this.#arrivals = arrivals;
    for (const [index, { step, letters }] of arrivals.entries()) {
      this.#letters.push((this.#letters[index] ?? 0) + letters);
      this.#moments.push((this.#moments[index] ?? 0) + letters * step);
    }
  }

  /** How many arrivals there were up to a step. */
  arrivedBy(step: number): number {
    let low = 0;
    let high = this.#arrivals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#arrivals[middle]?.step ?? 0) <= step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What those from index `from` up to `to` wait for an edit at the last of them. */
  shownAtLast(from: number, to: number): number {
    return this.#wait(from, to, this.#arrivals[to - 1]?.step ?? 0);
  }

  /** What those from index `from` on that an edit at `step` shows have waited for it. */
  between(from: number, step: number): number {
    return this.#wait(from, this.arrivedBy(step), step);
  }

  #wait(from: number, to: number, step: number): number {
    const letters = (this.#letters[to] ?? 0) - (this.#letters[from] ?? 0);
    return letters * step - ((this.#moments[to] ?? 0) - (this.#moments[from] ?? 0));
  }
}

/** States to go on from, the earliest moment first. */
class Pending {
  readonly #states = new Map<number, State[]>();
  #at: number;
  #last: number;

  constructor(step: number, state: State) {
    this.#at = step;
    this.#last = step;
    this.add(step, state);
  }

  add(step: number, state: State): void {
    const known = this.#states.get(step);
    if (known === undefined) this.#states.set(step, [state]);
    else known.push(state);
    this.#last = Math.max(this.#last, step);
  }

  take(): { step: number; states: readonly State[] } | undefined {
    for (; this.#at <= this.#last; this.#at += 1) {
      const states = this.#states.get(this.#at);
      if (states === undefined) continue;
      this.#states.delete(this.#at);
      return { step: this.#at, states };
    }
    return undefined;
  }
}

/** Letters by time, in ms. */
export interface TimedLetters {
  readonly atMs: number;
  readonly letters: number;
}

/** @returns The least staleness, in s. */
export function optimum(
  arrivals: readonly TimedLetters[],
  { burst, perSecond, oneWayMs }: { burst: number; perSecond: number; oneWayMs: number },
): number {
  const bySteps = new Map<number, number>();
  for (const { atMs, letters } of arrivals) {
    const step = Math.round(atMs / GRID_MS);
    if (letters > 0) bySteps.set(step, (bySteps.get(step) ?? 0) + letters);
  }
  const onGrid = [...bySteps].map(([step, letters]) => ({ step, letters })).sort((a, b) => a.step - b.step);
  const total = onGrid.reduce((sum, { letters }) => sum + letters, 0);
  const everySteps = Math.round(1_000 / perSecond / GRID_MS);
  return (oneWayMs + (leastWait(onGrid, { burst, everySteps }) * GRID_MS) / total) / 1_000;
}
