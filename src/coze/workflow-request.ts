import { type MetaData, toWireMessage } from "./chat-request.ts";
import { refuse } from "./refusal.ts";

/** Messages in one request to a chatflow (coze-api.md §13.1). */
const MAX_MESSAGES = 50;

/** A run of a workflow (coze-api.md §13). */
export interface WorkflowRequest {
  /** Of a published workflow. */
  readonly workflowId: string;
  /** Inputs of the start node, by their names. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Inputs of the start node that are files, by their names: ids of uploaded files. */
  readonly files?: Readonly<Record<string, string | readonly string[]>>;
  /** The bot it belongs to, if it uses one's variables or data; never together with `appId`. */
  readonly botId?: string;
  /** The app it belongs to. */
  readonly appId?: string;
  /** Where the user is, and who. */
  readonly ext?: { readonly latitude?: string; readonly longitude?: string; readonly userId?: string };
  /** Default: the published one. */
  readonly version?: string;
  /** Where it is published: `1024` is the API. */
  readonly connectorId?: string;
}

/** A message that goes to a chatflow: text only. */
export interface ChatflowMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly metaData?: MetaData;
}

/** A question to a chatflow; it names either a bot or an app. */
export interface ChatflowRequest extends WorkflowRequest {
  /** Created by the same identity; without one Coze creates it. */
  readonly conversationId?: string;
  /** History given by the caller, oldest first, then the question; at most 50. */
  readonly messages: readonly ChatflowMessage[];
}

/** What an interrupted run waits for. Three times at most; the third unfit reply fails the run. */
export interface ResumeRequest {
  readonly workflowId: string;
  /** From the interrupt. */
  readonly eventId: string;
  /** From the interrupt. */
  readonly interruptType: number;
  /** The user's reply, or JSON for input nodes. */
  readonly data: string;
}

/** The body of a run. @throws {CozeError} `COZE_BAD_REQUEST` for what Coze would refuse anyway. */
export function toRunBody(request: WorkflowRequest): object {
  const { botId, appId, ext, parameters = {}, files = {} } = request;
  if (botId !== undefined && appId !== undefined)
    refuse("a workflow belongs to a bot or to an app, not to both");
  return {
    workflow_id: request.workflowId,
    parameters: { ...parameters, ...toFileParameters(files) },
    bot_id: botId,
    app_id: appId,
    ext: ext && { latitude: ext.latitude, longitude: ext.longitude, user_id: ext.userId },
    workflow_version: request.version,
    connector_id: request.connectorId,
  };
}

/** The body of a question to a chatflow. @throws {CozeError} `COZE_BAD_REQUEST` */
export function toChatflowBody(request: ChatflowRequest): object {
  const { botId, appId, messages } = request;
  if (botId === undefined && appId === undefined) refuse("a chatflow needs the bot or the app it belongs to");
  if (messages.length > MAX_MESSAGES) refuse(`${messages.length} messages; a chatflow takes ${MAX_MESSAGES}`);
  if (messages.at(-1)?.role !== "user") refuse("the last message must be the user's");
  return {
    ...toRunBody(request),
    additional_messages: messages.map(toWireMessage),
    // In the body here, while chats have it in the query (coze-api.md §13.1).
    conversation_id: request.conversationId,
  };
}

/** The body of a resumption. @throws {CozeError} `COZE_BAD_REQUEST` */
export function toResumeBody({ workflowId, eventId, interruptType, data }: ResumeRequest): object {
  if (data === "") refuse("an interrupted workflow needs a reply");
  return { workflow_id: workflowId, event_id: eventId, resume_data: data, interrupt_type: interruptType };
}

/** Files go as strings that hold JSON (coze-api.md §13.1). */
function toFileParameters(files: NonNullable<WorkflowRequest["files"]>): Record<string, string | string[]> {
  const toText = (fileId: string): string => JSON.stringify({ file_id: fileId });
  return Object.fromEntries(
    Object.entries(files).map(([name, ids]) => [
      name,
      typeof ids === "string" ? toText(ids) : ids.map(toText),
    ]),
  );
}
