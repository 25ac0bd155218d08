/** Closes what a half-written answer leaves open, so that it looks right on screen. For display only. */
export function healMarkdown(markdown: string): string {
  const fences = markdown.match(/^```/gm)?.length ?? 0;
  return fences % 2 === 1 ? `${markdown}\n\`\`\`` : markdown;
}
