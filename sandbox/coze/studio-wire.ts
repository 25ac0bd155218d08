/**
 * How a self-hosted Coze Studio says what the hosted service says otherwise. Pure.
 *
 * @see docs/reference/coze-api.md §18
 */
import type { ChatRun } from "./chat-run.ts";
import type { Manners, SentRefusal } from "./manners.ts";
import { type Fields, type Refusal, refuse } from "./rules.ts";
import type { PlainEvent } from "./sse-bytes.ts";
import type { CozeSwitches } from "./switches.ts";

/** The one code for everything about signing in, and for every path that is none of the API's. */
const AUTHENTICATION_FAILED = 700012006;
/** Parameters that are wrong, with the HTTP status of the same number. */
export const BAD_PARAMETER = 400;
export const RUN_FAILED = 103100001;
export const AGENT_MISSING = 103100002;
export const NOT_PERMITTED = 103000001;
export const CONVERSATION_MISSING = 103000002;
export const RECORD_MISSING = 103200003;
export const NOT_CANCELLABLE = 103200005;

/** What services that both flavors share refuse with the hosted service's codes. */
const OWN_CODES: ReadonlyMap<number, number> = new Map([
  [4000, BAD_PARAMETER],
  [4003, BAD_PARAMETER],
  [4004, BAD_PARAMETER],
  [4005, BAD_PARAMETER],
  [4002, CONVERSATION_MISSING],
  [4006, AGENT_MISSING],
  [4015, AGENT_MISSING],
  [4300, 104000006],
  [4301, 104000007],
  [4302, 104000004],
  [4304, BAD_PARAMETER],
  [5000, 500],
]);

/** Calls whose failures bypass the envelope. */
const PLAIN_FAILURES = new Set(["GET /v3/chat/retrieve"]);
const PARAMETER_FAILURES = new Set(["POST /v3/chat", "POST /v3/chat/cancel"]);

export function studioManners(switches: CozeSwitches): Manners {
  return {
    logIdHeader: "x-log-id",
    unknownCaller: refuse(AUTHENTICATION_FAILED, "authentication failed: api key invalid"),
    wrap: (_call, body) => ({ code: 0, msg: "", ...body }),
    refuse: (call, { code, msg }) => toSentRefusal(call, refuse(OWN_CODES.get(code) ?? code, msg), switches),
    missing: () => ({
      status: 200,
      body: refuse(AUTHENTICATION_FAILED, "authentication failed: missing session_key in cookie"),
    }),
  };
}

function toSentRefusal(call: string, refusal: Refusal, switches: CozeSwitches): SentRefusal {
  const { code } = refusal;
  if (code === AUTHENTICATION_FAILED) return { status: 200, body: refusal };
  if (code === BAD_PARAMETER) return { status: 400, body: refusal };
  if (code === 500) return { status: 500, body: refuse(500, "internal server error") };
  if (PLAIN_FAILURES.has(call)) return { status: 500, body: toErrorText(refusal, switches) };
  if (PARAMETER_FAILURES.has(call)) {
    return { status: 400, body: refuse(BAD_PARAMETER, toErrorText(refusal, switches)) };
  }
  return { status: 200, body: refusal };
}

/** An error as the server prints it (`STUDIO:backend/pkg/errorx/internal/status.go`): with its code, and where it was. */
export function toErrorText({ code, msg }: Refusal, { studioErrorsTellCode }: CozeSwitches): string {
  return studioErrorsTellCode ? `code=${code} message=${msg}\nstack=service.go:42` : msg;
}

/** Facts of a run that its events do not tell. */
export interface StudioRunFacts {
  /** What comes back as the `meta_data` of every message. */
  readonly ext: Readonly<Record<string, string>>;
  readonly switches: CozeSwitches;
}

/** A chat as it is stored, and told by events before the last. */
export function toStudioChat(run: ChatRun, status: string): object {
  const { id, conversation_id, bot_id, section_id, created_at, usage } = run.toWire() as Fields;
  const isFailed = status === "failed";
  const endedAt = run.completedAt ?? 0;
  return {
    id,
    conversation_id,
    bot_id,
    section_id,
    status,
    created_at,
    completed_at: isFailed ? 0 : endedAt,
    failed_at: isFailed ? endedAt : 0,
    ...(run.usage.token_count > 0 && { usage }),
  };
}

/** A run's status as it is stored; nobody waits for a tool: an interrupt ends the chat like any other. */
export function toStudioStatus(run: ChatRun, { studioErrorThenCompleted }: CozeSwitches): string {
  if (run.status === "requires_action") return "completed";
  return run.status === "failed" && studioErrorThenCompleted ? "completed" : run.status;
}

/** Turns the events of one run into a studio's, one by one. */
export function studioEvents(
  run: ChatRun,
  facts: StudioRunFacts,
): (event: PlainEvent) => readonly PlainEvent[] {
  const { ext, switches } = facts;
  let over = false;
  const completed = (): PlainEvent => {
    const { usage, ...chat } = toStudioChat(run, "completed") as Fields;
    const told = switches.studioUsageInCompleted && usage !== undefined;
    return { name: "conversation.chat.completed", data: JSON.stringify(told ? { ...chat, usage } : chat) };
  };
  const end = (...events: PlainEvent[]): readonly PlainEvent[] => {
    over = true;
    return events;
  };
  return ({ name = "", data }) => {
    switch (name) {
      case "conversation.chat.created":
      case "conversation.chat.in_progress":
        return [{ name, data: JSON.stringify(toStudioChat(run, run.status)) }];
      case "conversation.chat.completed":
      case "conversation.chat.requires_action":
        return end(completed());
      case "conversation.chat.failed": {
        const failure = { name: "error", data: JSON.stringify(run.lastError) };
        return switches.studioErrorThenCompleted ? end(failure, completed()) : [failure];
      }
      case "done": {
        if (run.lastError.code !== 0 && !over) return [];
        const done = { name: "conversation.stream.done", data: "" };
        return over ? [done] : end(completed(), done);
      }
      default:
        return [{ name, data: JSON.stringify({ ...(JSON.parse(data) as Fields), meta_data: ext }) }];
    }
  };
}
