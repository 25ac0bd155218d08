import type { Dispatcher } from "undici";
import type { Gates } from "../core/gate.ts";
import type { HttpProxy, Log } from "../core/ports.ts";
import { AudioApi } from "./api/audio.ts";
import { BotsApi } from "./api/bots.ts";
import { ChatsApi } from "./api/chats.ts";
import { ConversationsApi } from "./api/conversations.ts";
import { FeedbackApi } from "./api/feedback.ts";
import { FilesApi } from "./api/files.ts";
import { MessagesApi } from "./api/messages.ts";
import { UsersApi } from "./api/users.ts";
import { WorkflowsApi } from "./api/workflows.ts";
import { WorkspacesApi } from "./api/workspaces.ts";
import type { TokenSource } from "./auth/token-source.ts";
import { type Flavor, type FlavorName, flavorOf } from "./flavor.ts";
import { CozeHttp, type CozeTimeouts, DEFAULT_TIMEOUTS } from "./http.ts";
import { CozePacer } from "./pacer.ts";

export interface CozeClientOptions {
  /** Host of the API; mandatory, since tokens belong to one region (coze-api.md §17). */
  readonly baseUrl: string;
  /** Which Coze it is, default `hosted`. */
  readonly flavor?: FlavorName;
  readonly tokens: TokenSource;
  readonly log: Log;
  /** Where Coze's limits are kept to; on the world's clock. */
  readonly gates: Gates;
  /** What the plan of the token's owner allows. */
  readonly chatsPerSecond: number;
  readonly timeouts?: Partial<CozeTimeouts>;
  readonly proxy?: HttpProxy | undefined;
  /** Instead of connections of its own; not closed by the client. */
  readonly dispatcher?: Dispatcher;
}

/** Coze, resource by resource. Dispose it to close its connections. */
export interface CozeClient extends AsyncDisposable {
  readonly flavor: Flavor;
  readonly chats: ChatsApi;
  readonly conversations: ConversationsApi;
  readonly messages: MessagesApi;
  readonly feedback: FeedbackApi;
  readonly bots: BotsApi;
  readonly workspaces: WorkspacesApi;
  readonly users: UsersApi;
  readonly files: FilesApi;
  readonly workflows: WorkflowsApi;
  readonly audio: AudioApi;
}

/** A client for one Coze under one identity. */
export function createCozeClient(options: CozeClientOptions): CozeClient {
  const { baseUrl, tokens, log, timeouts, proxy, dispatcher } = options;
  const flavor = flavorOf(options.flavor ?? "hosted");
  const pacer = new CozePacer(options.gates, options.chatsPerSecond);
  const http = new CozeHttp({
    baseUrl: baseUrl.replace(/\/+$/, ""),
    tokens,
    flavor,
    timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
    proxy,
    ...(dispatcher !== undefined && { dispatcher }),
  });
  return {
    flavor,
    chats: new ChatsApi(http, { pacer, log }),
    conversations: new ConversationsApi(http),
    messages: new MessagesApi(http),
    feedback: new FeedbackApi(http),
    bots: new BotsApi(http),
    workspaces: new WorkspacesApi(http),
    users: new UsersApi(http),
    files: new FilesApi(http, { pacer }),
    workflows: new WorkflowsApi(http, { pacer, log }),
    audio: new AudioApi(http, { pacer }),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}
