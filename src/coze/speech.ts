import { refuse } from "./refusal.ts";

/** Longest text that is spoken at once, in bytes of UTF-8 (coze-api.md §11, §22.47). */
const MAX_SPEECH_BYTES = 1024;
/** Coze's limits (coze-api.md §11); of the speed those of the small model, the wider ones. */
const SPEED: readonly [number, number] = [0.2, 3];
const LOUDNESS: readonly [number, number] = [-50, 100];
const EMOTION_SCALE: readonly [number, number] = [1, 5];
const SAMPLE_RATES: readonly number[] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

export type SpeechFormat = "mp3" | "wav" | "pcm" | "ogg_opus";

/** A text to be spoken (coze-api.md §11). */
export interface SpeechRequest {
  /** At most 1024 bytes of UTF-8; {@link splitSpeech} cuts longer ones. */
  readonly text: string;
  readonly voiceId: string;
  /** Default `mp3`. */
  readonly format?: SpeechFormat;
  /** 0.2–3, of big models 0.5–2; default 1. */
  readonly speed?: number;
  /** In Hz, default 24000. */
  readonly sampleRate?: number;
  /** −50 to 100, default 0. */
  readonly loudness?: number;
  /** Of voices that have several. */
  readonly emotion?: string;
  /** 1–5, default 4. */
  readonly emotionScale?: number;
  /** How it is to be said, in words, for voices that listen to that. */
  readonly contextTexts?: readonly string[];
}

/** The body of `POST /v1/audio/speech`. @throws {CozeError} `COZE_BAD_REQUEST` for what Coze would refuse anyway. */
export function toSpeechBody(request: SpeechRequest): object {
  const { text, sampleRate, speed, loudness, emotionScale } = request;
  const bytes = Buffer.byteLength(text);
  if (text.trim() === "") refuse("there is nothing to speak");
  if (bytes > MAX_SPEECH_BYTES) {
    refuse(`the text has ${bytes} bytes of UTF-8; Coze speaks ${MAX_SPEECH_BYTES} at once: split it`);
  }
  checkRange("speed", speed, SPEED);
  checkRange("loudness", loudness, LOUDNESS);
  checkRange("emotion scale", emotionScale, EMOTION_SCALE);
  if (sampleRate !== undefined && !SAMPLE_RATES.includes(sampleRate)) {
    refuse(`the sample rate is ${sampleRate}; Coze takes ${SAMPLE_RATES.join(", ")}`);
  }
  return {
    input: text,
    voice_id: request.voiceId,
    response_format: request.format,
    speed,
    sample_rate: sampleRate,
    loudness_rate: loudness,
    emotion: request.emotion,
    emotion_scale: emotionScale,
    context_texts: request.contextTexts,
  };
}

/** Where a text may be cut, best first. What fits nowhere else is cut between code points. */
const SEGMENTERS = (["sentence", "word", "grapheme"] as const).map(
  (granularity) => new Intl.Segmenter("en", { granularity }),
);

/**
 * Cuts a text into pieces that Coze speaks: at sentence ends, else between words, never inside of a character as people
 * see it. Together the pieces are the text, but for those that hold nothing but spaces.
 *
 * @param maxBytes - Longest piece, in bytes of UTF-8.
 */
export function splitSpeech(text: string, maxBytes: number = MAX_SPEECH_BYTES): readonly string[] {
  return pack(text, maxBytes, 0).filter((piece) => piece.trim() !== "");
}

/** Fills piece after piece with the parts of a level; a part that is too long is cut at the next one. */
function pack(text: string, maxBytes: number, level: number): string[] {
  if (Buffer.byteLength(text) <= maxBytes) return [text];
  const pieces: string[] = [];
  let piece = "";
  let bytes = 0;
  for (const part of partsOf(text, level)) {
    const size = Buffer.byteLength(part);
    if (bytes + size <= maxBytes) {
      piece += part;
      bytes += size;
      continue;
    }
    if (piece !== "") pieces.push(piece);
    const cut = size > maxBytes && level < SEGMENTERS.length ? pack(part, maxBytes, level + 1) : [part];
    pieces.push(...cut.slice(0, -1));
    piece = cut.at(-1) ?? "";
    bytes = Buffer.byteLength(piece);
  }
  return [...pieces, piece];
}

function partsOf(text: string, level: number): Iterable<string> {
  const segmenter = SEGMENTERS[level];
  if (segmenter === undefined) return text;
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

function checkRange(name: string, value: number | undefined, [least, most]: readonly [number, number]): void {
  if (value === undefined || (value >= least && value <= most)) return;
  refuse(`the ${name} is ${value}; Coze takes ${least} to ${most}`);
}
