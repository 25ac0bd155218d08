import { describe, expect, it } from "vitest";
import {
  MAX_REVISIONS,
  planChange,
  questionOf,
  REDO_WITHIN_MS,
  revisionOf,
  turnIdOf,
} from "../../src/core/revisions.ts";

const at = (changedAt: number) => ({ sentAt: 0, changedAt });

describe("a change to a question that was started", () => {
  it("is its next revision", () => {
    expect(planChange([], at(5))).toEqual({ do: "redo", revision: 1 });
    expect(planChange([5], at(6))).toEqual({ do: "redo", revision: 2 });
  });

  it("keeps its revision, however often it is told", () => {
    expect(planChange([5, 6], at(5))).toEqual({ do: "redo", revision: 1 });
  });

  it("is left alone when a later one is known", () => {
    expect(planChange([6], at(5))).toEqual({ do: "ignore", reason: "older than what is known" });
  });

  it("counts for a quarter of an hour after the question", () => {
    expect(planChange([], at(REDO_WITHIN_MS))).toMatchObject({ do: "redo" });
    expect(planChange([], at(REDO_WITHIN_MS + 1))).toEqual({ do: "ignore", reason: "too late" });
  });

  it("counts only so often", () => {
    const revisions = Array.from({ length: MAX_REVISIONS }, (_, index) => index + 1);
    expect(planChange(revisions, at(100))).toEqual({ do: "ignore", reason: "too often" });
  });
});

it("names turns by question and revision", () => {
  const id = turnIdOf("slack:T:C:1.2", 3);
  expect([questionOf(id), revisionOf(id)]).toEqual(["slack:T:C:1.2", 3]);
  expect(revisionOf("slack:T:C:1.2#r0")).toBe(0);
});
