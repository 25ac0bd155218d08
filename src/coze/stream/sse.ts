import { createParser } from "eventsource-parser";

/** One server-sent event, framing removed. */
export interface SseEvent {
  /** Empty when the event had no name. */
  readonly name: string;
  readonly data: string;
}

/** Longest event we take, in characters; answers, knowledge and audio come as single lines (coze-api.md §5.2). */
const MAX_EVENT_CHARACTERS = 16 * 1024 * 1024;

/** Thrown when a body is no event stream but Coze's JSON envelope (coze-api.md §7.2). */
export class JsonInsteadOfStream extends Error {
  override readonly name = "JsonInsteadOfStream";
  readonly body: string;

  constructor(body: string) {
    super("JSON came in place of an event stream");
    this.body = body;
  }
}

/** Longest JSON body taken in place of a stream, in characters. */
const MAX_ENVELOPE_CHARACTERS = 1024 * 1024;

/**
 * Bytes of a response to events, in order; each chunk's events at once. Pending text at the end of the bytes counts
 * as an event, a JSON object there as a nameless one (coze-api.md §5.2).
 */
export class SseDecoder {
  readonly #decoder = new TextDecoder();
  readonly #tail = new LastLine();
  readonly #parser = createParser({
    onEvent: ({ event, data }) => void this.#ready.push({ name: event ?? "", data }),
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") this.#overflow = error;
    },
    maxBufferSize: MAX_EVENT_CHARACTERS,
  });
  #ready: SseEvent[] = [];
  #overflow: Error | undefined;
  #envelope: string | undefined;
  #sniffed = false;

  /** @throws {Error} when a single event is longer than {@link MAX_EVENT_CHARACTERS}. */
  push(bytes: Uint8Array): readonly SseEvent[] {
    return this.#feed(this.#decoder.decode(bytes, { stream: true }));
  }

  /** @throws {JsonInsteadOfStream} */
  end(): readonly SseEvent[] {
    const rest = this.#feed(this.#decoder.decode());
    if (this.#envelope !== undefined) throw new JsonInsteadOfStream(this.#envelope);
    const line = this.#tail.text;
    const last = [...rest, ...this.#feed("\n\n")];
    return line.startsWith("{") ? [...last, { name: "", data: line }] : last;
  }

  #feed(text: string): readonly SseEvent[] {
    if (text === "") return [];
    if (this.#envelope !== undefined || this.#looksLikeJson(text)) {
      this.#envelope = `${this.#envelope ?? ""}${text}`.slice(0, MAX_ENVELOPE_CHARACTERS);
      return [];
    }
    this.#tail.push(text);
    this.#parser.feed(text);
    if (this.#overflow !== undefined) throw this.#overflow;
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** A body whose first visible character is `{` is no event stream: no field of one starts like that. */
  #looksLikeJson(text: string): boolean {
    if (this.#sniffed) return false;
    const start = text.trimStart();
    if (start === "") return false;
    this.#sniffed = true;
    return start.startsWith("{");
  }
}

/** The text after the last line end, kept only while it may be a JSON object: the parser drops such lines. */
class LastLine {
  text = "";
  #skipping = false;

  push(chunk: string): void {
    // A lone CR is looked for behind the last LF only: in the whole chunk that took as long as the parser.
    const last = chunk.slice(chunk.lastIndexOf("\n") + 1);
    const rest = last.slice(last.lastIndexOf("\r") + 1);
    if (rest.length < chunk.length) {
      this.text = "";
      this.#skipping = false;
    }
    if (this.#skipping) return;
    this.text += rest;
    if (this.text === "" || (this.text.startsWith("{") && this.text.length <= MAX_ENVELOPE_CHARACTERS))
      return;
    this.text = "";
    this.#skipping = true;
  }
}
