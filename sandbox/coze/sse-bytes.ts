/** One server-sent event before framing. */
export interface PlainEvent {
  readonly name?: string;
  readonly data: string;
  /** Streams of workflows number their events (coze-api.md §5.1). */
  readonly id?: string;
}

/** How events are written; the defaults are what `/v3/chat` was seen to send (coze-api.md §5.1). */
export interface Framing {
  readonly newline?: "\n" | "\r\n" | "\r";
  readonly spaceAfterColon?: boolean;
  /** `data` lines before the `event` line. */
  readonly dataFirst?: boolean;
  readonly bom?: boolean;
  /** Lines before each event, e.g. `: ping`, `id: 7`, `retry: 10`. */
  readonly extraLines?: readonly string[];
  /** Without the blank line that ends the last event. */
  readonly unfinished?: boolean;
}

export function frameEvents(events: readonly PlainEvent[], framing: Framing = {}): Uint8Array {
  const { newline = "\n", bom = false, unfinished = false } = framing;
  const blocks = events.map((event) => frameLines(event, framing).join(newline) + newline);
  const text = blocks.join(newline) + (unfinished ? "" : newline);
  return new TextEncoder().encode((bom ? "\uFEFF" : "") + (unfinished ? text.trimEnd() : text));
}

function frameLines({ name, data, id }: PlainEvent, framing: Framing): string[] {
  const colon = framing.spaceAfterColon === true ? ": " : ":";
  const idLines = id === undefined ? [] : [`id${colon}${id}`];
  const eventLines = name === undefined ? [] : [`event${colon}${name}`];
  const dataLines = data.split("\n").map((line) => `data${colon}${line}`);
  const lines = framing.dataFirst === true ? [...dataLines, ...eventLines] : [...eventLines, ...dataLines];
  return [...(framing.extraLines ?? []), ...idLines, ...lines];
}

/** Equal pieces of `size` bytes, whatever they cut. */
export function splitEvery(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

/** Two pieces, cut `offset` bytes into the first occurrence of `text`. */
export function splitInside(bytes: Uint8Array, text: string, offset: number): Uint8Array[] {
  const at = Buffer.from(bytes).indexOf(text);
  if (at === -1) throw new Error("the text to cut is not in the bytes");
  return [bytes.subarray(0, at + offset), bytes.subarray(at + offset)];
}
