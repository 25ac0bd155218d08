/**
 * The values that Coze's JSON is made of, read leniently: any of them may be missing, null or empty.
 *
 * @see docs/reference/coze-api.md §1.3, §1.6
 */
import { z } from "zod";

/** An id: a decimal string, or digits that `parseCozeJson` kept exact. Empty counts as absent. */
export const id: z.ZodType<string | undefined> = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => (value === null || value === undefined || value === "" ? undefined : String(value)));

/** An id without which the answer is none. */
export const ownId: z.ZodType<string> = id.pipe(z.string());

/** A code; some streams carry it as a string (§1.3). Absent is success. */
export const code: z.ZodType<number> = z
  .union([z.number(), z.string()])
  .nullish()
  .transform((value) => toInteger(value) ?? 0);

export const text: z.ZodType<string> = z
  .string()
  .nullish()
  .transform((value) => value ?? "");

/** Text that nothing depends on: what is none is empty. */
export const anyText: z.ZodType<string> = text.catch("");

/** A number that nothing depends on. */
export const count: z.ZodType<number | undefined> = z
  .number()
  .nullish()
  .catch(undefined)
  .transform((value) => value ?? undefined);

/** Yes or no, where nothing depends on it: what is neither is no. */
export const flag: z.ZodType<boolean> = z
  .boolean()
  .nullish()
  .catch(undefined)
  .transform((value) => value ?? false);

/** Whether a list goes on; unlike a {@link flag} never guessed, since a list must not end by mistake. */
export const hasMore: z.ZodType<boolean> = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

export const metaData: z.ZodType<Readonly<Record<string, string>>> = z
  .record(z.string(), z.string())
  .nullish()
  .catch(undefined)
  .transform((value) => value ?? {});

/** Unix seconds, or any other whole number; some answers carry them as strings (§1.6). */
export const time: z.ZodType<number | undefined> = z
  .union([z.number(), z.string()])
  .nullish()
  .catch(undefined)
  .transform((value) => toInteger(value));

/** Longest address kept, in characters. */
const MAX_ADDRESS = 500;

/** An address for people; anything else counts as absent. */
export const webAddress: z.ZodType<string | undefined> = z
  .string()
  .nullish()
  .catch(undefined)
  .transform((value) => (value && /^https?:\/\/\S+$/.test(value) ? value.slice(0, MAX_ADDRESS) : undefined));

/** A list; absent is empty. */
export function listOf<T>(item: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z
    .array(item)
    .nullish()
    .transform((value) => value ?? []);
}

function toInteger(value: number | string | null | undefined): number | undefined {
  if (typeof value === "number") return Math.trunc(value);
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? Math.trunc(number) : undefined;
}
