/** Line ends and other controls, and those that turn the direction of text: `exe.png` could be read as `gnp.exe`. */
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** A text of others as one line, which is read as it is written and steers no terminal. */
export function toPlainLine(text: string): string {
  return text.replaceAll(CONTROLS, " ");
}
