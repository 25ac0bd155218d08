import { type AnswerSpecs, exact, ID, NONE, open, type RequestSpecs, TEXT } from "./shapes.ts";

/** A range of numbers, both ends included. */
function range(minimum: number, maximum: number): object {
  return { type: "number", minimum, maximum };
}

export const AUDIO_REQUESTS: RequestSpecs = {
  "POST /v1/audio/transcriptions": { query: NONE, source: "§11" },
  "POST /v1/audio/speech": {
    query: NONE,
    body: exact({
      // The strict count of bytes is the rules' job.
      required: { input: { type: "string", minLength: 1, maxLength: 1024 }, voice_id: ID },
      optional: {
        response_format: { enum: ["mp3", "wav", "pcm", "ogg_opus"] },
        speed: range(0.2, 3),
        sample_rate: { enum: [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] },
        loudness_rate: range(-50, 100),
        emotion: TEXT,
        emotion_scale: range(1, 5),
        context_texts: { type: "array", items: TEXT },
      },
    }),
    source: "§11",
  },
  "GET /v1/audio/voices": {
    query: exact({
      required: {
        page_num: { type: "string", pattern: "^[1-9]\\d*$" },
        page_size: { type: "string", pattern: "^([1-9]\\d?|100)$" },
      },
      optional: {
        filter_system_voice: { enum: ["true", "false"] },
        model_type: { enum: ["big", "small"] },
        voice_state: TEXT,
      },
    }),
    source: "§11",
  },
};

export const AUDIO_ANSWERS: AnswerSpecs = {
  "POST /v1/audio/transcriptions": exact({ required: { text: { type: "string" } } }),
  "GET /v1/audio/voices": exact({
    required: {
      voice_list: {
        type: "array",
        items: open({ voice_id: ID, name: TEXT, is_system_voice: { type: "boolean" } }),
      },
      has_more: { type: "boolean" },
    },
  }),
};
