/** Cuts Markdown into parts within the limit: at line borders if possible, fences closed and reopened. */
export function splitMarkdown(
  markdown: string,
  { limit, measure }: { limit: number; measure: (text: string) => number },
): readonly string[] {
  const parts: string[] = [];
  let part = "";
  let fence = "";
  const room = limit - 16;
  const push = (): void => {
    if (part.trim() !== "") parts.push(fence === "" ? part.trimEnd() : `${part.trimEnd()}\n\`\`\``);
    part = fence === "" ? "" : `${fence}\n`;
  };
  for (const line of markdown.split(/(?<=\n)/)) {
    if (measure(part + line) > room) push();
    if (line.startsWith("```")) fence = fence === "" ? line.trimEnd() : "";
    part += line;
    while (measure(part) > room) {
      let end = part.length - 1;
      while (end > 1 && measure(part.slice(0, end)) > room) end = Math.floor(end * 0.9);
      const rest = part.slice(end);
      part = part.slice(0, end);
      push();
      part += rest;
    }
  }
  fence = "";
  push();
  return parts;
}
