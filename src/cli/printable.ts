/** Control characters but line ends and tabs; and what would make a terminal show text in another order than it has. */
const STEERING = /(?![\n\t])\p{Cc}|[\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** What others wrote must not steer the terminal: what could becomes spaces. */
export function printable(text: string): string {
  return text.replaceAll(STEERING, " ");
}
