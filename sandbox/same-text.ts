/**
 * Whether an answer stands in a chat, whole and in order. Letters and digits only, fence lines left out: markup,
 * reopened code fences and list marks differ from platform to platform, the words must not.
 */
export function holdsText(shown: string, expected: string): boolean {
  const wanted = lettersOf(expected);
  return wanted !== "" && lettersOf(shown).includes(wanted);
}

/** Letters and digits, without fence lines. What has come so far of a text has the first letters of the whole. */
export function lettersOf(text: string): string {
  return text.replace(/^\s*(?:```|~~~).*$/gm, "").replace(/[^\p{L}\p{N}]/gu, "");
}
