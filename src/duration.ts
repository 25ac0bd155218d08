const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** Longest time that a setting may ask for: a week, well below what a timer holds. */
export const MAX_DURATION_MS: number = 168 * UNITS_MS.h;

/** A time with its unit, e.g. `250ms`, `25s`, `15m`, `24h`, or `0`, in ms; `undefined` when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  return Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS]; // the pattern names the units
}
