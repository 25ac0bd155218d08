/** What others wrote must not steer the terminal: control characters but line ends and tabs become spaces. */
export function printable(text: string): string {
  return text.replaceAll(/(?![\n\t])\p{Cc}/gu, " ");
}
