/** Limits of Block Kit (slack.md §1.5, §1.8). */
const MAX_BLOCKS = 50;
const MAX_MARKDOWN = 12_000;
const MAX_SECTION = 3_000;
const MAX_HEADER = 150;
const MAX_CONTEXT = 10;

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
  return list.every(isValid) ? undefined : "invalid_blocks";
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
