import { expect, it } from "vitest";
import { z } from "zod";
import { ifReadable, oddFields, optional, readableOf } from "../src/wire.ts";

const shape = z.object({
  kind: optional(z.string()),
  size: ifReadable(z.number()),
  names: readableOf(z.object({ name: z.string() })),
});

interface Shape {
  readonly kind?: string;
  readonly size?: number;
  readonly names?: readonly { readonly name: string }[];
}

it.each<[string, unknown, Shape]>([
  ["absent", {}, {}],
  ["null", { kind: null, size: null, names: null }, {}],
  ["there", { kind: "a", size: 1, names: [{ name: "b" }] }, { kind: "a", size: 1, names: [{ name: "b" }] }],
  ["odd where it does not matter", { size: "1", names: "b" }, {}],
  ["partly odd", { names: [null, { name: 1 }, { name: "b" }, "c"] }, { names: [{ name: "b" }] }],
])("reads a field that is %s", (_, value, read) => {
  expect(shape.parse(value)).toEqual({ names: [], ...read });
});

it("keeps what decides strict, and says where a value is odd without what it holds", () => {
  const { error } = shape.safeParse({ kind: 7, names: [] });
  expect(error && oddFields(error)).toEqual(["kind"]);
  const many = z.array(z.number()).safeParse(Array.from({ length: 100 }, () => "secret"));
  expect(many.error && oddFields(many.error)).toHaveLength(10);
  expect(JSON.stringify(many.error && oddFields(many.error))).not.toContain("secret");
});
