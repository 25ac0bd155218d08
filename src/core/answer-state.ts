/**
 * The answer as Coze writes it: typed events in, one state out. Nothing else in the program knows what Coze's
 * events mean; renderers read only {@link AnswerState}.
 *
 * @see docs/reference/coze-api.md §3, §5, §6
 */

/** Where a chat stands. Spellings are normalized by `src/coze`; `running` covers created, in progress and unknown. */
export type ChatStatus = "running" | "completed" | "failed" | "canceled" | "requires_action";

export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly total: number;
}

/** What a message of the bot is. `tool_output` is folded into `tool_response`; what we do not know is `unknown`. */
export type AnswerMessageKind =
  | "answer"
  | "function_call"
  | "tool_response"
  | "follow_up"
  | "verbose"
  | "knowledge"
  | "question"
  | "unknown";

export type ContentType = "text" | "object_string" | "card" | "audio" | "unknown";

/** A tool that the bot waits for (`function`), or a question of a workflow to the asker (`reply_message`). */
export interface PendingAction {
  readonly id: string;
  readonly kind: "function" | "reply_message";
  readonly name: string;
  /** JSON as a string, possibly empty; opaque. */
  readonly input: string;
}

/** One typed event of an answer stream, in Coze's nouns but spelling- and framing-free. */
export type AnswerEvent =
  | {
      readonly type: "chat";
      readonly status: ChatStatus;
      readonly chatId?: string;
      readonly conversationId?: string;
      readonly usage?: Usage;
      readonly error?: AnswerFailure;
      readonly pending?: readonly PendingAction[];
    }
  | {
      readonly type: "delta";
      readonly messageId: string;
      readonly kind: AnswerMessageKind;
      readonly text: string;
      readonly reasoning: string;
    }
  | { readonly type: "audio"; readonly messageId: string; readonly base64: string }
  | {
      readonly type: "message";
      readonly messageId: string;
      readonly kind: AnswerMessageKind;
      readonly contentType: ContentType;
      readonly text: string;
      readonly reasoning: string;
    }
  /** A stream-level error: no proof that the chat failed (coze-api.md §7.4). */
  | { readonly type: "error"; readonly error: AnswerFailure }
  | { readonly type: "end"; readonly debugUrl?: string }
  | { readonly type: "unknown"; readonly name: string };

/** Coze's own words for a failure; for the log, never for the asker. */
export interface AnswerFailure {
  readonly code: number;
  readonly text: string;
}

/** One answer message; a chat may have several. */
export interface AnswerText {
  readonly messageId: string;
  /** What the deltas said so far, or the authoritative text once `completed`. */
  readonly text: string;
  readonly reasoning: string;
  readonly contentType: ContentType;
  readonly completed: boolean;
}

/** A tool of the bot at work. Coze gives no correlation id, so responses settle calls in order. */
export interface ToolProgress {
  readonly messageId: string;
  readonly name: string;
  readonly done: boolean;
}

export interface AnswerState {
  readonly status: ChatStatus;
  readonly chatId?: string;
  readonly conversationId?: string;
  /** In first-seen order: ids do not sort by time (coze-api.md §5.5). */
  readonly answers: readonly AnswerText[];
  readonly tools: readonly ToolProgress[];
  /** How many knowledge lookups were reported. */
  readonly knowledgeLookups: number;
  /** Suggested questions, at most {@link MAX_FOLLOW_UPS}. */
  readonly followUps: readonly string[];
  readonly pending: readonly PendingAction[];
  /** More came than is kept: {@link MAX_ANSWER_CHARACTERS}, {@link MAX_ANSWERS}. */
  readonly cut: boolean;
  /** Bytes of speech received, base64 characters per message; the audio itself is not kept. */
  readonly audioLength: number;
  /** `generate_answer_finish` with reason 0 was seen: all answers are complete, follow-ups may still come. */
  readonly answersFinished: boolean;
  /** A workflow asked something and waits for the asker's next message (coze-api.md §6.5). */
  readonly interrupted: boolean;
  readonly usage?: Usage;
  readonly failure?: AnswerFailure;
  /** The stream said that it is over (`done`). */
  readonly ended: boolean;
  readonly unknownEvents: number;
}

/** Coze documents at most three (coze-api.md §3.2); more are ignored. */
const MAX_FOLLOW_UPS = 3;
/** Characters kept of all answers of a chat: some 50 Discord messages, and more than models write by themselves. */
const MAX_ANSWER_CHARACTERS = 100_000;
/** Answer messages, and tool calls, kept of a chat; workflows have been seen to send a dozen. */
const MAX_ANSWERS = 100;

/** The first half of a surrogate pair whose second half comes with the next delta (coze-api.md §22.9). */
/** What a reader sees something of: white space, format characters and the letters that are drawn as nothing show none. */
const VISIBLE = /[^\s\p{Cf}\u115f\u1160\u2800\u3164\uffa0]/u;
const HALF_CHARACTER = /[\ud800-\udbff]$/;

export const EMPTY_ANSWER: AnswerState = {
  status: "running",
  answers: [],
  tools: [],
  knowledgeLookups: 0,
  followUps: [],
  pending: [],
  cut: false,
  audioLength: 0,
  answersFinished: false,
  interrupted: false,
  ended: false,
  unknownEvents: 0,
};

/** Folds one event into the state. Pure; never throws, whatever the event holds. */
export function reduceAnswer(state: AnswerState, event: AnswerEvent): AnswerState {
  switch (event.type) {
    case "chat":
      return reduceChat(state, event);
    case "delta":
      return event.kind === "answer" && !state.cut ? appendDelta(state, event) : state;
    case "audio":
      return { ...state, audioLength: state.audioLength + event.base64.length };
    case "message":
      return reduceMessage(state, event);
    case "error":
      return { ...state, failure: event.error };
    case "end":
      return { ...state, ended: true };
    case "unknown":
      return { ...state, unknownEvents: state.unknownEvents + 1 };
  }
}

function reduceChat(state: AnswerState, event: AnswerEvent & { type: "chat" }): AnswerState {
  // A late `in_progress` must not reopen a chat that is already over; only a resumed one may run again.
  const terminal = state.status === "completed" || state.status === "failed" || state.status === "canceled";
  return {
    ...state,
    status: terminal && event.status === "running" ? state.status : event.status,
    ...(event.chatId !== undefined && { chatId: event.chatId }),
    ...(event.conversationId !== undefined && { conversationId: event.conversationId }),
    ...(event.usage !== undefined && { usage: event.usage }),
    ...(event.error !== undefined && { failure: event.error }),
    pending: event.pending ?? [],
  };
}

function appendDelta(state: AnswerState, event: AnswerEvent & { type: "delta" }): AnswerState {
  return withAnswer(state, event.messageId, (answer) =>
    answer.completed
      ? answer
      : { ...answer, text: answer.text + event.text, reasoning: answer.reasoning + event.reasoning },
  );
}

function reduceMessage(state: AnswerState, event: AnswerEvent & { type: "message" }): AnswerState {
  switch (event.kind) {
    case "answer":
      // `completed` is authoritative: it replaces what the deltas said (coze-api.md §5.5), unless it says nothing.
      return withAnswer(state, event.messageId, (answer) => ({
        ...answer,
        text: event.text === "" ? answer.text : event.text,
        reasoning: event.reasoning === "" ? answer.reasoning : event.reasoning,
        contentType: event.contentType,
        completed: true,
      }));
    case "function_call":
      return { ...state, tools: withCall(state.tools, event.messageId, toolName(event.text)) };
    case "tool_response":
      return { ...state, tools: settleFirst(state.tools) };
    case "follow_up":
      return { ...state, followUps: withFollowUp(state.followUps, event.text) };
    case "knowledge":
      return { ...state, knowledgeLookups: state.knowledgeLookups + 1 };
    case "verbose":
      return reduceVerbose(state, event.text);
    case "question":
    case "unknown":
      return state;
  }
}

/** A control packet: `{"msg_type","data",…}`; `data` may be empty, JSON or anything (coze-api.md §3.2). */
function reduceVerbose(state: AnswerState, content: string): AnswerState {
  const packet = parseObject(content);
  switch (packet["msg_type"]) {
    case "generate_answer_finish": {
      const data = typeof packet["data"] === "string" ? parseObject(packet["data"]) : {};
      // finish_reason 1 = interrupted, not the end of the job (coze-api.md §6.4).
      return data["finish_reason"] === 1 ? state : { ...state, answersFinished: true };
    }
    case "interrupt":
      return { ...state, interrupted: true };
    case "knowledge_recall":
      return { ...state, knowledgeLookups: state.knowledgeLookups + 1 };
    default:
      return state;
  }
}

function withAnswer(
  state: AnswerState,
  messageId: string,
  change: (answer: AnswerText) => AnswerText,
): AnswerState {
  const index = state.answers.findIndex((answer) => answer.messageId === messageId);
  const found = state.answers[index];
  if (found === undefined && state.answers.length >= MAX_ANSWERS) return { ...state, cut: true };
  const fresh: AnswerText = { messageId, text: "", reasoning: "", contentType: "text", completed: false };
  const changed = change(found ?? fresh);
  const others = state.answers.reduce((sum, { text }) => sum + text.length, 0) - (found?.text.length ?? 0);
  const answer = keepWithin(changed, MAX_ANSWER_CHARACTERS - others);
  return {
    ...state,
    answers: found === undefined ? [...state.answers, answer] : state.answers.with(index, answer),
    cut: state.cut || answer.text.length < changed.text.length,
  };
}

function keepWithin(answer: AnswerText, room: number): AnswerText {
  const { text, reasoning } = answer;
  if (text.length <= room && reasoning.length <= MAX_ANSWER_CHARACTERS) return answer;
  const kept = text.length <= room ? text : text.slice(0, room).replace(HALF_CHARACTER, "");
  return { ...answer, text: kept, reasoning: reasoning.slice(0, MAX_ANSWER_CHARACTERS) };
}

/** A message may be completed twice (coze-api.md §22.15): the second time it is no other call. */
function withCall(tools: readonly ToolProgress[], messageId: string, name: string): readonly ToolProgress[] {
  const known = messageId !== "" && tools.some((tool) => tool.messageId === messageId);
  return known || tools.length >= MAX_ANSWERS ? tools : [...tools, { messageId, name, done: false }];
}

function withFollowUp(followUps: readonly string[], text: string): readonly string[] {
  const wanted = followUps.length < MAX_FOLLOW_UPS && text.trim() !== "" && !followUps.includes(text);
  return wanted ? [...followUps, text.toWellFormed()] : followUps;
}

function settleFirst(tools: readonly ToolProgress[]): readonly ToolProgress[] {
  const index = tools.findIndex((tool) => !tool.done);
  const found = tools[index];
  return found === undefined ? tools : tools.with(index, { ...found, done: true });
}

function toolName(content: string): string {
  const call = parseObject(content);
  const name = call["name"] ?? call["api_name"] ?? call["plugin_name"];
  return typeof name === "string" ? name.toWellFormed() : "";
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Vendor examples hold truncated JSON (coze-api.md §3.2); what we cannot read, we do not use.
    return {};
  }
}

/** The Markdown to show: all answers in order, a blank line between them. Cards and audio have none. */
export function answerMarkdown(state: AnswerState): string {
  return state.answers
    .filter(
      (answer) => answer.contentType === "text" || answer.contentType === "unknown" || !answer.completed,
    )
    .map(({ text, completed }) => (completed ? text : text.replace(HALF_CHARACTER, "")))
    .filter((text) => VISIBLE.test(text))
    .join("\n\n")
    .toWellFormed();
}

/** Whether text has come since: only that says how fast an answer comes. */
export function bringsText(now: AnswerState, before: AnswerState = EMPTY_ANSWER): boolean {
  return textLength(now) > textLength(before);
}

function textLength({ answers }: AnswerState): number {
  return answers.reduce((sum, { text }) => sum + text.length, 0);
}

/** The tool the bot is using right now, if any; for a line of progress. */
export function currentTool(state: AnswerState): string | undefined {
  return state.tools.find((tool) => !tool.done)?.name;
}
