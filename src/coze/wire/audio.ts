/**
 * Recordings, speech and voices on the wire.
 *
 * @see docs/reference/coze-api.md §11
 */
import { z } from "zod";
import { anyText, flag, hasMore, listOf, ownId, text, webAddress } from "./values.ts";

export interface WireTranscript {
  readonly text: string;
}

export const transcriptSchema: z.ZodType<WireTranscript> = z.object({ text });

export interface WireVoice {
  readonly voice_id: string;
  readonly name: string;
  readonly is_system_voice: boolean;
  readonly language_code: string;
  readonly language_name: string;
  readonly preview_text: string;
  readonly preview_audio?: string | undefined;
  readonly model_type: string;
  readonly state: string;
}

const voice = z.object({
  voice_id: ownId,
  name: anyText,
  is_system_voice: flag,
  language_code: anyText,
  language_name: anyText,
  preview_text: anyText,
  preview_audio: webAddress,
  model_type: anyText,
  state: anyText,
});

export interface WireVoicePage {
  readonly voice_list: readonly WireVoice[];
  readonly has_more: boolean;
}

export const voicePageSchema: z.ZodType<WireVoicePage> = z.object({
  voice_list: listOf(voice),
  has_more: hasMore,
});
