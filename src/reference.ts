import { createHash } from "node:crypto";

/** No 0, O, 1, I, L or U: nothing to misread aloud. */
const LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 6;

/** A turn's short reference: the same for the same turn in every process; one in 729 million for another. */
export function toReference(turnId: string): string {
  const digest = createHash("sha256").update(turnId).digest();
  return Array.from(digest.subarray(0, LENGTH), (byte) => LETTERS[byte % LETTERS.length]).join("");
}
