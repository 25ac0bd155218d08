import { checkPage, toPage } from "./pages.ts";
import type { Outcome } from "./routes.ts";
import { type Fields, isRefusal, refuse } from "./rules.ts";
import { type CozeService, tooMany } from "./service.ts";
import type { CozeSwitches } from "./switches.ts";
import { checkOnePart, extensionOf, type UploadPart } from "./upload-rules.ts";

/** The first of the voices there are. */
export const STAND_IN_VOICE = "7380000000000000401";

/** How many voices there are: more than two pages hold. */
const VOICES = 230;
/** Voices of a page, at most and when nobody says (coze-api.md §11). */
const VOICES_OF_A_PAGE = 100;
/** The largest recording, in bytes, and the longest text, in bytes of UTF-8 (coze-api.md §11). */
const MAX_RECORDING = 10 * 1024 * 1024;
const MAX_INPUT = 1024;
const BIG_MODEL = "opus ogg mp3 wav m4a mp4 pcm raw spx aac amr".split(" ");
const SMALL_MODEL = "ogg mp3 wav mp4 m4a".split(" ");
const SAMPLE_RATES: readonly unknown[] = [8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/** How each format begins, hex, and what it is sent as. */
const FORMATS: ReadonlyMap<unknown, { readonly start: string; readonly contentType: string }> = new Map([
  ["mp3", { start: "494433040000000000", contentType: "audio/mpeg" }],
  ["wav", { start: "524946460000000057415645", contentType: "audio/wav" }],
  ["pcm", { start: "", contentType: "audio/pcm" }],
  ["ogg_opus", { start: "4f67675300020000", contentType: "audio/ogg" }],
]);

/** Recordings and speech behind the wire (coze-api.md §11). */
export class AudioService {
  readonly #service: CozeService;
  readonly #switches: CozeSwitches;

  constructor(service: CozeService, switches: CozeSwitches) {
    this.#service = service;
    this.#switches = switches;
  }

  transcribe(parts: readonly UploadPart[]): Outcome {
    if (!this.#service.allows("transcription", this.#switches.limits?.uploadPerSecond)) return tooMany();
    const part = checkOnePart(parts, MAX_RECORDING);
    if (isRefusal(part)) return part;
    const formats = this.#switches.asrModel === "big" ? BIG_MODEL : SMALL_MODEL;
    if (!formats.includes(extensionOf(part)))
      return refuse(4303, "recordings of this type are not supported");
    return { body: { data: { text: `You said ${part.size} bytes.` } } };
  }

  /** Silence, as long as the text. */
  speak(body: Fields): Outcome {
    const { input, voice_id: voiceId, response_format: format = "mp3" } = body;
    if (typeof input !== "string" || input === "") return refuse(4000, "input is required");
    const length = Buffer.byteLength(input);
    if (length > MAX_INPUT) return refuse(4000, "input is too long");
    if (typeof voiceId !== "string" || !isVoice(voiceId)) return refuse(4000, "voice_id is unknown");
    const kind = FORMATS.get(format);
    if (kind === undefined) return refuse(4000, "response_format is unknown");
    const wrong = wrongNumber(body);
    if (wrong !== undefined) return refuse(4000, `${wrong} is out of range`);
    const bytes = Buffer.concat([Buffer.from(kind.start, "hex"), Buffer.alloc(length * 100)]);
    return { bytes, contentType: kind.contentType };
  }

  voices(query: (name: string) => string): Outcome {
    const asked = checkPage(query, { defaultSize: VOICES_OF_A_PAGE, maxSize: VOICES_OF_A_PAGE });
    if (isRefusal(asked)) return asked;
    const filters = ["", "true", "false"];
    if (!filters.includes(query("filter_system_voice")))
      return refuse(4000, "filter_system_voice is no bool");
    const found = Array.from({ length: VOICES }, (_, index) => toVoice(index)).filter(
      (voice) =>
        (query("filter_system_voice") !== "true" || !voice.is_system_voice) &&
        (query("model_type") === "" || query("model_type") === voice.model_type) &&
        (query("voice_state") === "" || query("voice_state") === voice.state),
    );
    const { page, hasMore } = toPage(found, asked);
    return { body: { data: { voice_list: page, has_more: hasMore } } };
  }
}

/** Every tenth is somebody's clone. */
function toVoice(index: number): { is_system_voice: boolean; model_type: string; state: string } & Fields {
  const clone = index % 10 === 9;
  return {
    voice_id: String(BigInt(STAND_IN_VOICE) + BigInt(index)),
    name: `Voice ${index + 1}`,
    is_system_voice: !clone,
    language_code: index % 2 === 0 ? "zh" : "en",
    language_name: index % 2 === 0 ? "中文" : "English",
    preview_text: "Hello",
    preview_audio: `https://example.com/voices/${index + 1}.mp3`,
    available_training_times: clone ? 9 : 0,
    model_type: index % 3 === 0 ? "small" : "big",
    state: clone ? "cloned" : "init",
    create_time: 1_767_225_600,
    update_time: 1_767_225_600,
  };
}

function isVoice(voiceId: string): boolean {
  if (!/^\d{1,19}$/.test(voiceId)) return false;
  const index = BigInt(voiceId) - BigInt(STAND_IN_VOICE);
  return index >= 0n && index < VOICES;
}

/** The name of the first number that the service does not take. */
function wrongNumber(body: Fields): string | undefined {
  const within = (name: string, least: number, most: number): string | undefined => {
    const value = body[name] ?? least;
    return typeof value === "number" && value >= least && value <= most ? undefined : name;
  };
  const rate = body["sample_rate"] ?? 24_000;
  if (!SAMPLE_RATES.includes(rate)) return "sample_rate";
  return within("speed", 0.2, 3) ?? within("loudness_rate", -50, 100) ?? within("emotion_scale", 1, 5);
}
