/**
 * What the hosted service refuses of workflows, and with which code. Pure; written from the documentation only.
 *
 * @see docs/reference/coze-api.md §13
 */
import {
  checkMessages,
  type EnterMessage,
  type Fields,
  isFields,
  isRefusal,
  type Refusal,
  refuse,
} from "./rules.ts";

/** Messages in one request to a chatflow. */
const MAX_MESSAGES = 50;
/** Numbers of the kinds of interrupts: question, input, local plugin, OAuth. */
const INTERRUPTS: readonly unknown[] = [2, 5, 6, 7];

export interface WorkflowFacts {
  readonly workflows: ReadonlyMap<string, { readonly published: boolean }>;
  readonly hasBot: (botId: string) => boolean;
  readonly hasApp: (appId: string) => boolean;
  readonly hasFile: (fileId: string) => boolean;
}

/** A run after it passed the rules. */
export interface RunRequest {
  readonly workflowId: string;
  readonly botId: string | undefined;
  readonly appId: string | undefined;
  readonly userId: string;
  readonly parameters: Fields;
  readonly isAsync: boolean;
}

/** The rules of `POST /v1/workflow/run` and `/v1/workflow/stream_run`. */
export function checkRun(body: Fields, facts: WorkflowFacts): RunRequest | Refusal {
  const { workflow_id: workflowId, parameters = {}, ext = {}, is_async: isAsync = false } = body;
  if (typeof workflowId !== "string" || workflowId === "") return refuse(4000, "workflow_id is required");
  if (facts.workflows.get(workflowId)?.published !== true)
    return refuse(4200, "the workflow is not published");
  if (!isFields(parameters)) return refuse(4000, "parameters is no object");
  if (!isFields(ext) || !Object.values(ext).every((value) => typeof value === "string")) {
    return refuse(4000, "ext is no string map");
  }
  if (typeof isAsync !== "boolean") return refuse(4000, "is_async is no bool");
  for (const name of ["workflow_version", "connector_id"]) {
    if (body[name] !== undefined && typeof body[name] !== "string")
      return refuse(4000, `${name} is no string`);
  }
  const owner = checkOwner(body, facts);
  if (isRefusal(owner)) return owner;
  const file = Object.values(parameters)
    .flat()
    .map(toFileId)
    .find((id) => id !== undefined && !facts.hasFile(id));
  if (file !== undefined) return refuse(4000, "a file of the parameters is unknown");
  const userId = ext["user_id"];
  return { workflowId, ...owner, userId: typeof userId === "string" ? userId : "", parameters, isAsync };
}

/** A question to a chatflow after it passed the rules. */
export interface ChatflowRequest extends RunRequest {
  readonly conversationId: string | undefined;
  readonly messages: readonly EnterMessage[];
}

/** The rules of `POST /v1/workflows/chat`. */
export function checkChatflow(body: Fields, facts: WorkflowFacts): ChatflowRequest | Refusal {
  const request = checkRun(body, facts);
  if (isRefusal(request)) return request;
  if (request.botId === undefined && request.appId === undefined)
    return refuse(4000, "bot_id or app_id is required");
  if (request.isAsync) return refuse(4000, "a chatflow can't run asynchronously");
  const { additional_messages: given, conversation_id: conversationId } = body;
  const messages = checkMessages(given, { autoSaveHistory: true, limit: MAX_MESSAGES });
  if (isRefusal(messages)) return messages;
  if (messages.at(-1)?.role !== "user") return refuse(4000, "the last message is the user's input");
  if (messages.some(({ contentType }) => contentType !== "text"))
    return refuse(4000, "a chatflow takes text only");
  if (conversationId === undefined || conversationId === "")
    return { ...request, messages, conversationId: undefined };
  if (typeof conversationId !== "string") return refuse(4000, "conversation_id is no string");
  return { ...request, messages, conversationId };
}

/** A resumption after it passed the rules. */
export interface ResumeRequest {
  readonly workflowId: string;
  readonly eventId: string;
  readonly reply: string;
  readonly type: number;
}

/** The rules of `POST /v1/workflow/stream_resume` that need no knowledge of the run. */
export function checkResume(body: Fields): ResumeRequest | Refusal {
  const { workflow_id: workflowId, event_id: eventId, resume_data: reply, interrupt_type: type } = body;
  if (
    typeof workflowId !== "string" ||
    typeof eventId !== "string" ||
    typeof reply !== "string" ||
    reply === ""
  ) {
    return refuse(4000, "workflow_id, event_id and resume_data are required");
  }
  if (typeof type !== "number" || !INTERRUPTS.includes(type))
    return refuse(4000, "interrupt_type is unknown");
  return { workflowId, eventId, reply, type };
}

/** A bot or an app, not both. */
function checkOwner(body: Fields, facts: WorkflowFacts): Pick<RunRequest, "botId" | "appId"> | Refusal {
  const { bot_id: botId, app_id: appId } = body;
  for (const id of [botId, appId]) {
    if (id !== undefined && typeof id !== "string") return refuse(4000, "bot_id and app_id are strings");
  }
  if (botId !== undefined && appId !== undefined) return refuse(4000, "bot_id and app_id exclude each other");
  if (typeof botId === "string" && !facts.hasBot(botId)) return refuse(4006, "bot not found");
  if (typeof appId === "string" && !facts.hasApp(appId)) return refuse(4200, "app not found");
  // Proven by the loop above.
  return { botId, appId } as Pick<RunRequest, "botId" | "appId">;
}

/** Files are strings that hold JSON (coze-api.md §13.1); an object with that key is none. */
function toFileId(value: unknown): string | undefined {
  if (isFields(value) && "file_id" in value) return "";
  if (typeof value !== "string" || !value.startsWith("{")) return undefined;
  try {
    const file: unknown = JSON.parse(value);
    const id = isFields(file) ? file["file_id"] : undefined;
    return typeof id === "string" ? id : undefined;
  } catch {
    // A text that begins like JSON.
    return undefined;
  }
}
