import { setTimeout as sleep } from "node:timers/promises";
import { type AskedBy, type Asking, Bed, complaintsOf, ONE_WAY_MS, QUIET_MS } from "./bed.ts";
import { mean, quantile } from "./numbers.ts";
import { startUsage } from "./probe.ts";
import type { Program } from "./programs.ts";
import { figuresOf } from "./staleness.ts";
import { CROWD_TRACE } from "./traces.ts";

/** Questions come over this time, in ms: people do not press a key in the same instant. */
const SPREAD_MS = 5_000;
/** What Discord allows one bot in all (docs/reference/discord.md §1.2). */
const REQUESTS_PER_SECOND = 50;

/**
 * Many answers at once out of one process, each in a Discord channel of its own. The bound of their staleness is that of
 * docs/reference/pacing.md §3. Asked by messages, beyond 50 answers it is Discord's limit of the whole bot that decides;
 * answers to its command are outside that limit (docs/reference/discord.md §1.2), each has one of its own.
 *
 * @returns A row of the table.
 */
export async function measureCrowd(
  program: Program,
  { answers, by }: { answers: number; by: AskedBy },
): Promise<Readonly<Record<string, string | number>>> {
  const sharing = by === "message" ? Math.max(1, answers / REQUESTS_PER_SECOND) : 1;
  // An answer's turn comes once in so many seconds; three that pass it by, and nothing more comes.
  const quietMs = QUIET_MS + 3_000 * sharing;
  await using bed = await Bed.open({ program, platform: "discord", quietMs });
  await bed.ask("Discord channel", "short");
  const places = Array.from({ length: answers }, () => bed.newPlace("Discord channel"));
  const readOwn = startUsage();
  const [before, ownBefore, callsBefore] = [await bed.usage({ loop: true }), readOwn(), bed.calls];
  const startedAt = performance.now();
  const askings = await Promise.all(
    places.map(async (place, index) => {
      await sleep((index / answers) * SPREAD_MS);
      return bed.askIn("Discord channel", CROWD_TRACE.name, place, by);
    }),
  );
  const [after, own] = [await bed.usage({ loop: true }), readOwn()];
  const ms = performance.now() - startedAt;
  const [calls, refused] = [bed.calls.all - callsBefore.all, bed.calls.refused - callsBefore.refused];
  return {
    program: program.name,
    answers,
    "asked by": by,
    "bound, s": (ONE_WAY_MS / 1_000 + sharing / 2).toFixed(2),
    ...shownOf(askings),
    calls,
    "429s": `${refused} (${percent(refused / calls)})`,
    "loop p99, ms": after.loopP99Ms.toFixed(0),
    "RSS per answer, KB": ((after.peakRssBytes - before.rssBytes) / answers / 1_024).toFixed(0),
    "CPU per answer, ms": ((after.cpuMs - before.cpuMs) / answers).toFixed(0),
    "its CPU": percent((after.cpuMs - before.cpuMs) / ms),
    "stand-ins CPU": percent((own.cpuMs - ownBefore.cpuMs) / ms),
    "stand-ins loop p99, ms": own.loopP99Ms.toFixed(0),
    "its log": complaintsOf([bed]),
  };
}

/** Staleness and lag are those of the answers that are whole; what the others are like says their share. */
function shownOf(askings: readonly Asking[]): Readonly<Record<string, string | number>> {
  const whole = askings.map(({ growth }) => figuresOf(growth)).filter(({ coverage }) => coverage === 1);
  const lags = whole.map(({ lag }) => lag);
  return {
    whole: percent(whole.length / askings.length),
    "mean S, s": (mean(whole.map(({ staleness }) => staleness)) / 1_000).toFixed(2),
    "lag p50, ms": quantile(lags, 0.5).toFixed(0),
    "lag p99, ms": quantile(lags, 0.99).toFixed(0),
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;
}
