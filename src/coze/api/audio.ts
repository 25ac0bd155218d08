import type { Readable } from "node:stream";
import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import type { CozePacer } from "../pacer.ts";
import { type NumberedPage, readNumbered } from "../paging.ts";
import { type SpeechFormat, type SpeechRequest, toSpeechBody } from "../speech.ts";
import type { UploadOptions, UploadSource } from "../upload/multipart.ts";
import { checkRecording } from "../upload/recording.ts";
import { sendUpload } from "../upload/send-upload.ts";
import { transcriptSchema, voicePageSchema, type WireVoice } from "../wire/audio.ts";

/** Voices in one page, the most there can be (coze-api.md §11). */
const PAGE_SIZE = 100;

/** A text, spoken. */
export interface Speech {
  readonly format: SpeechFormat;
  /** As Coze told it. */
  readonly contentType: string;
  /** Read or destroy it: the connection waits for that. It breaks with a {@link CozeError}. */
  readonly audio: Readable;
}

/** A voice (coze-api.md §11); texts are empty when they were not told. */
export interface Voice {
  readonly voiceId: string;
  readonly name: string;
  /** Coze's own, not somebody's clone. */
  readonly system: boolean;
  readonly languageCode: string;
  readonly languageName: string;
  readonly previewText: string;
  readonly previewUrl: string | undefined;
  /** `big` or `small`. */
  readonly modelType: string;
  readonly state: string;
}

/** Which voices are listed. */
export interface ListVoicesOptions extends Abortable {
  /** Only clones. */
  readonly withoutSystemVoices?: boolean;
  readonly modelType?: "big" | "small";
  /** As in {@link Voice}. */
  readonly state?: string;
}

/** Recordings to texts, texts to speech (coze-api.md §11). Every method throws {@link CozeError}. */
export class AudioApi {
  readonly #http: CozeHttp;
  readonly #pacer: CozePacer;

  constructor(http: CozeHttp, { pacer }: { pacer: CozePacer }) {
    this.#http = http;
    this.#pacer = pacer;
  }

  /**
   * What is said in a recording of at most 10 MB and 30 minutes. Every call is billed.
   *
   * @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`, `FILE_TYPE` before anything is sent; `FILE_GONE` as
   * {@link FilesApi.upload} does.
   */
  async transcribe(source: UploadSource, options: UploadOptions): Promise<string> {
    const call = {
      ...options,
      path: "/v1/audio/transcriptions",
      source,
      // No rate of its own is documented: counted as an upload.
      gate: this.#pacer.uploads,
      check: checkRecording,
    };
    return (await sendUpload(this.#http, call, transcriptSchema)).text;
  }

  /** Speaks a text of at most 1024 bytes. Every call is billed. */
  async speak(request: SpeechRequest, { signal }: Abortable): Promise<Speech> {
    const json = toSpeechBody(request);
    const call: CozeCall = { method: "POST", path: "/v1/audio/speech", json, signal };
    const { contentType, body } = await this.#http.download(call);
    return { format: request.format ?? "mp3", contentType, audio: body };
  }

  /** All of them, page by page as they are read; the reader may stop early. */
  listVoices({ signal, ...filter }: ListVoicesOptions): AsyncIterable<Voice> {
    const path = "/v1/audio/voices";
    const load = async (pageNumber: number): Promise<NumberedPage<Voice>> => {
      const query = {
        filter_system_voice: filter.withoutSystemVoices,
        model_type: filter.modelType,
        voice_state: filter.state,
        page_num: pageNumber,
        page_size: PAGE_SIZE,
      };
      const page = await this.#http.call({ method: "GET", path, query, signal }, voicePageSchema);
      return { items: page.voice_list.map(toVoice), hasMore: page.has_more };
    };
    return readNumbered(load, { toId: ({ voiceId }) => voiceId, call: `GET ${path}` });
  }
}

function toVoice(voice: WireVoice): Voice {
  return {
    voiceId: voice.voice_id,
    name: voice.name,
    system: voice.is_system_voice,
    languageCode: voice.language_code,
    languageName: voice.language_name,
    previewText: voice.preview_text,
    previewUrl: voice.preview_audio,
    modelType: voice.model_type,
    state: voice.state,
  };
}
