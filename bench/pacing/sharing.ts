import type { Bed } from "./bed.ts";
import { mean, median } from "./numbers.ts";
import type { Style } from "./programs.ts";
import type { Beds } from "./rows.ts";
import { figuresOf } from "./staleness.ts";

/** The trace of docs/reference/pacing.md §6. */
const TRACE = "bursty";

/** Several answers on one bucket, as docs/reference/pacing.md §6 has them; the programs in turn. */
export async function measureSharing(
  programs: readonly Beds[],
  { rounds, say }: { rounds: number; say: (text: string) => void },
): Promise<void> {
  const all = programs.map((beds) => ({ beds, played: [] as { six: Shared; three: Shared }[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { beds, played } of all) {
      played.push(await playRound(beds));
      say(`${beds.program.name}, sharing, round ${round} of ${rounds}`);
    }
  }
  for (const { beds, played } of all) {
    const { name } = beds.program;
    const [six, three] = [played.map((each) => each.six), played.map((each) => each.three)];
    say(
      `\n${name}, six answers at once in one Slack workspace (native, ${TRACE}): ${describe(six)}` +
        `\n${name}, three answers at once in one Discord channel (${TRACE}): ${describe(three)}`,
    );
  }
}

async function playRound(beds: Beds): Promise<{ six: Shared; three: Shared }> {
  const six = await beds.whenRested("Slack native", () => {
    const workspace = beds.bed("Slack native", TRACE);
    const places = Array.from({ length: 6 }, () => workspace.newPlace("Slack native"));
    return together(workspace, "Slack native", places);
  });
  const three = await beds.whenRested("Discord channel", () => {
    const discord = beds.bed("Discord channel", TRACE);
    const channel = discord.newPlace("Discord channel");
    return together(discord, "Discord channel", [channel, channel, channel]);
  });
  return { six, three };
}

interface Shared {
  /** Staleness of each answer, in s. */
  readonly staleness: readonly number[];
  readonly coverage: number;
  readonly refused: number;
}

async function together(bed: Bed, style: Style, places: readonly string[]): Promise<Shared> {
  const askings = await Promise.all(places.map((place) => bed.askIn(style, TRACE, place)));
  const figures = askings.map(({ growth }) => figuresOf(growth));
  return {
    staleness: figures.map(({ staleness }) => staleness / 1_000),
    coverage: Math.min(...figures.map(({ coverage }) => coverage)),
    refused: askings.reduce((sum, { refused }) => sum + refused, 0),
  };
}

function describe(rounds: readonly Shared[]): string {
  const means = rounds.map(({ staleness }) => mean(staleness));
  const all = rounds.flatMap(({ staleness }) => staleness);
  const coverage = Math.min(...rounds.map((round) => round.coverage));
  const refused = rounds.reduce((sum, round) => sum + round.refused, 0);
  return (
    `mean S ${median(means).toFixed(2)} s (rounds ${means.map((each) => each.toFixed(2)).join(", ")}; single answers ` +
    `${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)}), coverage ${coverage.toFixed(3)}, ${refused} 429s`
  );
}
