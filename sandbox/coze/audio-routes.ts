import type { AudioService } from "./audio.ts";
import { type Route, withBody } from "./routes.ts";
import { isRefusal } from "./rules.ts";

/** Recordings, speech and voices (coze-api.md §11). */
export function audioRoutes(audio: AudioService): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/audio/transcriptions",
      upload: true,
      handle(request) {
        const parts = request.parts();
        return isRefusal(parts) ? parts : audio.transcribe(parts);
      },
    },
    { method: "POST", path: "/v1/audio/speech", handle: withBody((fields) => audio.speak(fields)) },
    { method: "GET", path: "/v1/audio/voices", handle: ({ query }) => audio.voices(query) },
  ];
}
