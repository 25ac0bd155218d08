import { toPlainLine } from "./plain-line.ts";

/** Longest file name that is repeated to anybody, in characters. */
const MAX_NAME = 80;
/** Characters kept of the end of a longer one: its extension tells most. */
const KEPT_END = 20;

/** A file's name as it may stand in a sentence: one line, of bearable length, read as it is written. */
export function toPlainFileName(name: string): string {
  const plain = Array.from(toPlainLine(name).trim());
  if (plain.length === 0) return "?";
  if (plain.length <= MAX_NAME) return plain.join("");
  return [...plain.slice(0, MAX_NAME - KEPT_END - 1), "…", ...plain.slice(-KEPT_END)].join("");
}
