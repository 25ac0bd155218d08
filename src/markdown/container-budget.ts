import type { Options } from "mdast-util-from-markdown";

type SyntaxExtension = NonNullable<Options["extensions"]>[number];
type Construct = Extract<
  NonNullable<NonNullable<SyntaxExtension["document"]>[number]>,
  { tokenize: unknown }
>;

/**
 * Quotes and list items in one text, at most, each of which the parser tries twice; those inside another count double. The
 * parser's time grows with their square: 4,000 of them, 24 KB, took half a minute.
 */
const MAX_CONTAINERS = 2_000;
/** Lines of a text with quotes or lists that cost as much as one of them. */
const LINES_FOR_ONE = 2;
/** `>`, `*`, `+`, `-` and digits: what begins one. */
const BEGINNINGS = [62, 42, 43, 45, ...Array.from({ length: 10 }, (_, digit) => 48 + digit)];

/** A text holds so many quotes and list items that parsing it would hold up everybody else. */
export class TooManyContainers extends Error {
  override readonly name = "TooManyContainers";
}

/** What the parser must not see in such a text: their marks are letters then, and stay where they stand. */
export const WITHOUT_CONTAINERS: SyntaxExtension = { disable: { null: ["blockQuote", "list"] } };

/**
 * Counts what the parser tries, for one text; in code it tries nothing.
 *
 * @returns An extension that makes the parser throw {@link TooManyContainers}.
 */
export function containerBudget(): SyntaxExtension {
  let spent = 0;
  const count = (cost: (column: number) => number): Construct => ({
    tokenize(_effects, _ok, nok) {
      return (code) => {
        spent += cost(this.now().column);
        if (spent > MAX_CONTAINERS) throw new TooManyContainers();
        return nok(code);
      };
    },
  });
  const container = count((column) => (column > 1 ? 2 : 1));
  const line = count(() => (spent > 0 ? 1 / LINES_FOR_ONE : 0));
  return { document: { null: line, ...Object.fromEntries(BEGINNINGS.map((code) => [code, container])) } };
}
