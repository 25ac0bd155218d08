import { describe, expect, it } from "vitest";
import {
  answerTo,
  countOrphans,
  type History,
  isClean,
  isWhole,
  type JudgedMessage,
  judge,
  questionText,
  readWords,
} from "./judge.ts";

const FIRST = { tag: 1, lane: "lane", place: "place", words: 4 };
const SECOND = { tag: 2, lane: "lane", place: "place", words: 3 };

function says(text: string, changes: Partial<JudgedMessage> = {}): JudgedMessage {
  return { bot: true, text, unfinished: false, ...changes };
}

/** Two questions of one lane, answered well, but for what a test changes. */
function aHistory(messages: readonly JudgedMessage[], changes: Partial<History> = {}): History {
  return {
    turns: [FIRST, SECOND],
    places: new Map([["place", messages]]),
    askings: [
      { tags: [1], overtook: false },
      { tags: [2], overtook: false },
    ],
    ...changes,
  };
}

const WELL = [
  says("ask1 words4", { bot: false }),
  says("k1n0 k1n1"),
  says("k1n2 k1n3"),
  says("ask2 words3", { bot: false }),
  says("k2n0 k2n1 k2n2"),
];

it("finds nothing wrong where nothing is, over several messages", () => {
  const verdict = judge(aHistory(WELL));
  expect(isClean(verdict)).toBe(true);
  expect(verdict.askedTwice).toEqual([]);
});

it.each([
  ["lost", "a lost answer", [...WELL.slice(0, 3)], [2]],
  ["half", "an answer without its end", WELL.with(2, says("k1n2")), [1]],
  ["half", "an answer without its middle", WELL.with(1, says("k1n0")), [1]],
  ["half", "a message that still grows", WELL.with(4, says("k2n0 k2n1 k2n2", { unfinished: true })), [2]],
  ["doubled", "an answer in two messages", [...WELL, says("k2n0 k2n1 k2n2")], [2]],
  ["doubled", "one word twice", WELL.with(2, says("k1n1 k1n2 k1n3")), [1]],
  ["misplaced", "an answer above an earlier one", [...WELL.slice(4), ...WELL.slice(0, 3)], [2]],
  ["misplaced", "parts in the wrong order", [...WELL.slice(2), says("k1n0 k1n1")], [1]],
  ["strays", "an empty message left behind", [...WELL, says("")], [""]],
  ["strays", "a notice", [...WELL, says("Try again (K7Q2FM).")], ["Try again (K7Q2FM)."]],
  [
    "strays",
    "a notice in Chinese below an answer",
    WELL.with(2, says("k1n2 k1n3\n回答超时，请再试一次。（反馈编号：K7Q2FM）")),
    [expect.anything()],
  ],
  [
    "strays",
    "a notice below an answer",
    WELL.with(2, says("k1n2 k1n3\nToo late (K7Q2FM).")),
    [expect.anything()],
  ],
] as const)("counts as %s: %s", (kind, _what, messages, expected) => {
  const verdict = judge(aHistory(messages));
  expect(verdict[kind]).toEqual(expected);
  expect(isClean(verdict)).toBe(false);
});

it("tells what was refused from what was lost, and from what was answered all the same", () => {
  const sentence = "The bridge cannot take questions right now. Please try again in a minute.";
  const told = (parent: string): JudgedMessage => says(sentence, { parent });
  const turns = [FIRST, { ...SECOND, question: "second" }];
  const refused = judge(aHistory([...WELL.slice(0, 4), told("second")], { turns }));
  expect(refused).toMatchObject({ refused: [2], lost: [], strays: [] });
  expect(isClean(refused)).toBe(false);
  expect(judge(aHistory([...WELL.slice(0, 4), told("other")], { turns }))).toMatchObject({ lost: [2] });
  expect(judge(aHistory([...WELL, told("second")], { turns }))).toMatchObject({
    refused: [],
    strays: [sentence],
  });
});

it("takes no other person's words for an answer", () => {
  expect(judge(aHistory([...WELL.slice(0, 4), says("k2n0 k2n1 k2n2", { bot: false })])).lost).toEqual([2]);
});

it("counts what Coze was asked twice, also inside a merged question", () => {
  const askings = [
    { tags: [1], overtook: false },
    { tags: [1, 2], overtook: false },
  ];
  const verdict = judge(aHistory(WELL, { askings }));
  expect(verdict.askedTwice).toEqual([1]);
  expect(isClean(verdict)).toBe(true);
});

it("notices a turn that ran beside an earlier one", () => {
  const verdict = judge(aHistory(WELL, { askings: [{ tags: [2], overtook: true }] }));
  expect(verdict.overtaking).toEqual([2]);
  expect(isClean(verdict)).toBe(false);
});

it("lets a posted question of a command stand, and the passing word that it was taken", () => {
  const taken = says("Working on it…", { ephemeral: true });
  expect(judge(aHistory([taken, says("Ada asks: ask1 words4"), ...WELL])).strays).toEqual([]);
});

it("asks of a stopped answer only that it ended, and lets it say so", () => {
  const stopped = { ...FIRST, stopped: true } as const;
  const over = [WELL[0], says("k1n0 k1n1\nThis answer was stopped. (K7Q2FM)"), ...WELL.slice(3)].filter(
    (one) => !!one,
  );
  expect(isClean(judge(aHistory(over, { turns: [stopped, SECOND] })))).toBe(true);
  expect(judge(aHistory(over)).half).toEqual([1]);
  const onlySaid = [...WELL.slice(0, 1), says("This answer was stopped. (K7Q2FM)"), ...WELL.slice(3)];
  expect(isClean(judge(aHistory(onlySaid, { turns: [stopped, SECOND] })))).toBe(true);
  expect(judge(aHistory([...onlySaid, says("")], { turns: [stopped, SECOND] })).strays).toHaveLength(1);
  const said = says("This answer was stopped. (K7Q2FM)");
  const below = [WELL[0], says("k1n0 k1n1"), said, ...WELL.slice(3)].filter((one) => !!one);
  expect(isClean(judge(aHistory(below, { turns: [stopped, SECOND] })))).toBe(true);
  const failed = says("Something went wrong on our side. Please try again. (K7Q2FM)");
  for (const twice of [
    [...over, said],
    [...below, said],
    [...below.slice(0, 2), failed, ...below.slice(3)],
  ]) {
    expect(judge(aHistory(twice, { turns: [stopped, SECOND] })).strays).toHaveLength(1);
  }
  const growing = over.with(1, says("k1n0", { unfinished: true }));
  expect(judge(aHistory(growing, { turns: [stopped, SECOND] })).half).toEqual([1]);
});

describe("of an answer that ends as a file", () => {
  const file = (document: string, changes: Partial<JudgedMessage> = {}): JudgedMessage =>
    says("The answer goes on.", { documents: [document], ...changes });
  const whole = file("k1n0 k1n1 k1n2 k1n3");
  const place = (...messages: readonly JudgedMessage[]): History =>
    aHistory([...WELL.slice(0, 2), ...messages, ...WELL.slice(3)]);

  it("the file counts as what is seen, and may repeat what its messages say", () => {
    expect(judge(place(whole))).toEqual(judge(aHistory(WELL)));
  });

  it.each([
    ["half", "without its end", [file("k1n0 k1n1 k1n2")]],
    ["half", "that is not there", []],
    ["doubled", "that stands there twice", [whole, whole]],
    ["doubled", "that does not begin with what the messages say", [file("k1n1 k1n2 k1n3")]],
    ["misplaced", "in another order", [file("k1n0 k1n1 k1n3 k1n2")]],
  ] as const)("is %s when it is one %s", (kind, _what, messages) => {
    expect(judge(place(...messages))[kind]).toEqual([1]);
  });

  it("a file that names no word, and one file too many, are in nobody's answer", () => {
    expect(judge(place(whole, file("nothing"))).strays).toHaveLength(1);
    expect(countOrphans([says("k1n0"), whole])).toBe(0);
    expect(countOrphans([says("k1n0"), whole, file("k1n0 k1n1", { text: "" })])).toBe(1);
  });
});

it("lets the word that an answer is late stand below a full message, and nowhere else", () => {
  const late = says("-# The bridge was away when you asked; this is a late answer.");
  const full = says(`k1n2 k1n3${" ".repeat(1_990)}`);
  expect(judge(aHistory(WELL.toSpliced(2, 1, full, late))).strays).toEqual([]);
  expect(judge(aHistory(WELL.toSpliced(3, 0, late))).strays).toEqual([late.text]);
  expect(judge(aHistory(WELL.toSpliced(2, 1, full, late, late))).strays).toEqual([late.text]);
});

it("counts what only repeats others, and empty messages that grow", () => {
  expect(countOrphans(WELL)).toBe(0);
  expect(countOrphans([says("k1n0"), ...WELL])).toBe(1);
  const posted = says("Ada asks: ask1 words4");
  expect(countOrphans([posted, ...WELL])).toBe(0);
  expect(countOrphans([posted, posted, ...WELL])).toBe(1);
  expect(countOrphans([says("", { unfinished: true }), ...WELL, says("Try again.")])).toBe(1);
});

it("writes answers that it finds whole", () => {
  const turn = { tag: 7, lane: "lane", place: "place", words: 500 };
  const text = answerTo(`${questionText(7, 500)}\n${questionText(8, 2)}`);
  expect(isWhole(turn, readWords([says(text)]))).toBe(true);
  expect(isWhole(turn, readWords([says(text.slice(100))]))).toBe(false);
});
