/** Limits of Block Kit (slack.md §1.5, §1.8). */
const MAX_BLOCKS = 50;
const MAX_MARKDOWN = 12_000;
const MAX_SECTION = 3_000;
const MAX_HEADER = 150;
const MAX_CONTEXT = 10;
const MAX_TABLES = 1;
const MAX_TABLE_ROWS = 100;

const TYPES: ReadonlySet<unknown> = new Set([
  "actions",
  "context",
  "context_actions",
  "divider",
  "file",
  "header",
  "image",
  "markdown",
  "plan",
  "rich_text",
  "section",
  "table",
  "task_card",
  "video",
]);

interface Block {
  readonly type?: unknown;
  readonly text?: unknown;
  readonly elements?: unknown;
  readonly fields?: unknown;
}

/** Slack's error for blocks it would refuse, or nothing. An unknown block fails the whole call (slack.md §1.10). */
export function blocksError(blocks: unknown): string | undefined {
  if (!Array.isArray(blocks)) return "invalid_blocks_format";
  if (blocks.length > MAX_BLOCKS) return "msg_blocks_too_many";
  const list = blocks as readonly Block[];
  if (list.some((block) => typeof block !== "object" || block === null)) return "invalid_blocks";
  const markdown = list.filter(({ type }) => type === "markdown").map(({ text }) => text);
  if (markdown.some((text) => typeof text !== "string" || text.trim() === "")) return "invalid_blocks";
  if (markdown.join("").length > MAX_MARKDOWN) return "msg_blocks_too_long";
  const tables = tablesOf(list);
  if (tables.length > MAX_TABLES || !tables.every(isTable)) return "invalid_blocks";
  return list.every(isValid) ? undefined : "invalid_blocks";
}

/** Whether a markdown block holds a table. */
export function hasTable(blocks: readonly unknown[]): boolean {
  return tablesOf(blocks as readonly Block[]).length > 0;
}

/** The tables in markdown blocks, outside of fences, as lines. */
function tablesOf(blocks: readonly Block[]): readonly (readonly string[])[] {
  const tables: string[][] = [];
  for (const { type, text } of blocks) {
    if (type !== "markdown") continue;
    let fence = "";
    let table: string[] | undefined;
    let previous = "";
    for (const line of String(text).split("\n")) {
      const marker = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
      if (marker !== "" && (fence === "" || line.trim().startsWith(fence)))
        fence = fence === "" ? marker : "";
      if (fence !== "" || line.trim() === "") table = undefined;
      else if (table !== undefined) table.push(line);
      else if (
        /^[ >]*\|?[ :]*-[-|: ]*$/.test(line) &&
        line.includes("|") &&
        cellsIn(previous) === cellsIn(line)
      ) {
        table = [previous, line];
        tables.push(table);
      }
      previous = line;
    }
  }
  return tables;
}

function cellsIn(row: string): number {
  return row
    .trim()
    .replace(/^\|/, "")
    .replace(/\|$/, "")
    .split(/(?<!\\)\|/).length;
}

/** No empty cell (slack.md §9.1), and not too many rows (slack.md §1.8). */
function isTable(lines: readonly string[]): boolean {
  return lines.length - 1 <= MAX_TABLE_ROWS && !lines.some((line) => /\|\s*\|/.test(line));
}

function isValid({ type, text, elements, fields }: Block): boolean {
  if (!TYPES.has(type)) return false;
  if (type === "section") return fields !== undefined || isText(text, MAX_SECTION, ["mrkdwn", "plain_text"]);
  if (type === "header") return isText(text, MAX_HEADER, ["plain_text"]);
  if (type !== "context") return true;
  if (!Array.isArray(elements) || elements.length === 0 || elements.length > MAX_CONTEXT) return false;
  return elements.every((element) => {
    const kind = (element as Block | null)?.type;
    return kind === "image" || isText(element, MAX_SECTION, ["mrkdwn", "plain_text"]);
  });
}

function isText(value: unknown, max: number, types: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { type, text } = value as Block;
  return (
    types.some((name) => name === type) && typeof text === "string" && text.length > 0 && text.length <= max
  );
}
