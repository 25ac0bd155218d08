import { SocketModeClient, type SocketModeOptions } from "@slack/socket-mode";
import { z } from "zod";

/** What a socket hands on besides envelopes. */
export interface SocketFrames {
  /** Slack wants this socket closed: now, or in some seconds (slack.md §6.1). */
  onDisconnectFrame(reason: string): void;
}

const frame = z.object({
  type: z.string(),
  reason: z.string().optional(),
  envelope_id: z.string().optional(),
  payload: z.record(z.string(), z.unknown()).optional(),
});

const named = z.object({ type: z.string() });

/** Frames the SDK may see. Every other type it would emit as an event of that name, `error` and `close` included. */
const KNOWN: ReadonlySet<string> = new Set(["hello", "events_api", "interactive", "slash_commands"]);

/**
 * One Socket Mode connection. Between socket and SDK stands a guard, because version 3.1.0 throws where nobody can
 * catch on payloads without an event, and closes at the first warning (slack.md §6.2, §6.5).
 */
export class GuardedSocket extends SocketModeClient {
  readonly #frames: SocketFrames;

  constructor(options: SocketModeOptions, frames: SocketFrames) {
    super(options);
    this.#frames = frames;
  }

  protected override async onWebSocketMessage(data: string | ArrayBuffer, isBinary: boolean): Promise<void> {
    if (isBinary || typeof data !== "string") return;
    const parsed = frame.safeParse(parseJson(data));
    if (!parsed.success) return;
    const { type, reason, payload, envelope_id: envelope } = parsed.data;
    if (type === "disconnect") {
      this.#frames.onDisconnectFrame(reason ?? "unknown");
      return;
    }
    if (!KNOWN.has(type)) return;
    if (type !== "hello" && (envelope === undefined || payload === undefined)) return;
    const known = type !== "events_api" || hasEvent(payload);
    // A payload without an event goes in under another name, so that it can still be acknowledged.
    await super.onWebSocketMessage(known ? data : data.replace('"events_api"', '"bare_payload"'), false);
  }
}

function hasEvent(payload: Readonly<Record<string, unknown>> | undefined): boolean {
  const event = named.safeParse(payload?.["event"]);
  // The SDK emits the event's type; these names mean something else to it.
  return (
    event.success && !/^(error|close|ws_message|slack_event|connected|disconnected)$/.test(event.data.type)
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not ours to repair: ignored like any unknown frame.
    return undefined;
  }
}
