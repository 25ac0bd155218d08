import { expect, it } from "vitest";
import { judgeJournal, parseJournal } from "./journal.ts";

const GOOD = ["1 start lane0:0 0", "1 saved lane0:0 1", "2 start lane0:0 1", "2 done lane0:0 0"];

function judge(...lines: string[]): readonly string[] {
  return judgeJournal(parseJournal(lines.join("\n")), 1);
}

it("finds nothing wrong with a turn that was killed once and finished then", () => {
  expect(judge(...GOOD)).toEqual([]);
});

it.each([
  ["a lost turn", GOOD.slice(0, 3), "lost: lane0:0"],
  ["a checkpoint set back", GOOD.with(2, "2 start lane0:0 0"), "lane0:0: checkpoint 0, confirmed 1"],
  [
    "an earlier turn after a later one",
    ["1 start lane0:1 0", "1 retry lane0:1 0", ...GOOD],
    "out of order: lane0:0",
  ],
  ["two turns at once", [...GOOD, "2 start lane0:1 0", "2 start lane0:1 0"], "two at once: lane0:1"],
  ["a dead process that speaks", [...GOOD, "1 saved lane0:0 2"], "two processes at once: 1 and 2"],
])("notices %s", (_what, lines, wrong) => {
  expect(judge(...lines)).toContain(wrong);
});
