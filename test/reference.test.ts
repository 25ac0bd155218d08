import { expect, it } from "vitest";
import { toReference } from "../src/reference.ts";

it("is short, readable, and the same for the same turn", () => {
  const reference = toReference("discord:1:2:3#r0");
  expect(reference).toMatch(/^[2-9A-HJKMNP-TV-Z]{6}$/);
  expect(toReference("discord:1:2:3#r0")).toBe(reference);
  expect(toReference("discord:1:2:3#r1")).not.toBe(reference);
});

it("rarely meets another's", () => {
  const references = new Set(
    Array.from({ length: 5_000 }, (_, index) => toReference(`slack:T:C:${index}#r0`)),
  );
  expect(references.size).toBeGreaterThan(4_990);
});
