import { z } from "zod";

/**
 * How strictly what services send is read: they leave out more than they say, send `null` for it, and change. What a
 * decision hangs on has to be right; of the rest, what is odd hides nothing beside it.
 */

/** Absent or `null`, which is the same. */
export function optional<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** Where it is odd, as if it were absent: for what is nice to know. */
export function ifReadable<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return optional(schema).catch(undefined);
}

const MAX_FIELDS = 10;

/** Where a value is not as it has to be, e.g. `author.id`: the first few, and nothing of what they hold. */
export function oddFields({ issues }: z.ZodError): readonly string[] {
  return [...new Set(issues.slice(0, MAX_FIELDS).map(({ path }) => path.join(".")))];
}

/** The entries of a list that can be read; none where it is no list. */
export function readableOf<T>(schema: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .array(z.unknown())
    .nullish()
    .catch([])
    .transform((entries) => readable(schema, entries ?? []));
}

/** The same of a record, without its keys. */
export function readableIn<T>(schema: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .record(z.string(), z.unknown())
    .nullish()
    .catch({})
    .transform((record) => readable(schema, Object.values(record ?? {})));
}

function readable<T>(schema: z.ZodType<T>, entries: readonly unknown[]): T[] {
  return entries.flatMap((entry) => {
    const { success, data } = schema.safeParse(entry);
    return success ? [data] : [];
  });
}
