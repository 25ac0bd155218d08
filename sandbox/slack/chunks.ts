import type { Arguments } from "./arguments.ts";
import { blocksError } from "./blocks.ts";
import { SlackRefusal } from "./refusal.ts";

/** A card of a stream (slack.md §1.3). */
export interface StreamCard {
  readonly title: string;
  readonly status: "pending" | "in_progress" | "complete" | "error";
  readonly details: string;
  readonly output: string;
}

/** What the chunks of one call bring. */
export interface Chunks {
  readonly text: string;
  readonly cards: readonly (readonly [id: string, card: StreamCard])[];
  /** Title of the plan, if there is one. */
  readonly plan: string | undefined;
  readonly blocks: readonly unknown[];
}

/** A task's text fields (slack.md §1.3: seen in the field). */
const MAX_TASK_TEXT = 256;
const STATUSES: readonly unknown[] = ["pending", "in_progress", "complete", "error"];

/** Reads `chunks` as strictly as their types are written (slack.md §1.3). @throws {SlackRefusal} */
export function readChunks(chunks: unknown): Chunks {
  if (!Array.isArray(chunks)) throw invalid();
  const read = chunks.map(readChunk);
  return {
    text: read.map(({ text = "" }) => text).join(""),
    cards: read.flatMap(({ cards = [] }) => cards),
    plan: read.findLast(({ plan }) => plan !== undefined)?.plan,
    blocks: read.flatMap(({ blocks = [] }) => blocks),
  };
}

function readChunk(chunk: unknown): Partial<Chunks> {
  if (typeof chunk !== "object" || chunk === null) throw invalid();
  const { type, ...fields } = chunk as Arguments;
  switch (type) {
    case "markdown_text":
      return { text: textField(only(fields, ["text"]), "text", Number.POSITIVE_INFINITY) };
    case "task_update":
      return { cards: [readTask(only(fields, ["id", "title", "status", "details", "output", "sources"]))] };
    case "plan_update":
      return { plan: textField(only(fields, ["title"]), "title") };
    case "blocks":
      return { blocks: readBlocks(only(fields, ["blocks"])) };
    default:
      throw invalid();
  }
}

function only(fields: Arguments, known: readonly string[]): Arguments {
  if (Object.keys(fields).some((name) => !known.includes(name))) throw invalid();
  return fields;
}

function readTask(fields: Arguments): readonly [string, StreamCard] {
  const { status, sources } = fields;
  if (!STATUSES.includes(status) || (sources !== undefined && !areSources(sources))) throw invalid();
  const card: StreamCard = {
    title: textField(fields, "title"),
    // Proven above.
    status: status as StreamCard["status"],
    details: fields["details"] === undefined ? "" : textField(fields, "details"),
    output: fields["output"] === undefined ? "" : textField(fields, "output"),
  };
  return [textField(fields, "id"), card];
}

function areSources(sources: unknown): boolean {
  if (!Array.isArray(sources)) return false;
  return (sources as readonly Arguments[]).every(
    ({ type, url, text }) => type === "url" && typeof url === "string" && typeof text === "string",
  );
}

function readBlocks({ blocks }: Arguments): readonly unknown[] {
  const error = blocksError(blocks);
  if (error !== undefined) throw new SlackRefusal(error);
  return blocks as readonly unknown[];
}

function textField(fields: Arguments, name: string, max = MAX_TASK_TEXT): string {
  const text = fields[name];
  if (typeof text !== "string" || text === "" || text.length > max) throw invalid();
  return text;
}

function invalid(): SlackRefusal {
  return new SlackRefusal("invalid_chunks");
}

/** The same id is the same card: title and status are replaced, details and output go on (slack.md §1.3). */
export function updateCards(cards: Map<string, StreamCard>, updates: Chunks["cards"]): void {
  for (const [id, card] of updates) {
    const { details = "", output = "" } = cards.get(id) ?? {};
    cards.set(id, { ...card, details: details + card.details, output: output + card.output });
  }
}

/** UTF-8 bytes of all that cards say. Whether Slack counts them is not known: the stand-in does. */
export function bytesOfCards(cards: ReadonlyMap<string, StreamCard>): number {
  let bytes = 0;
  for (const [id, { title, details, output }] of cards)
    bytes += Buffer.byteLength(id + title + details + output);
  return bytes;
}
