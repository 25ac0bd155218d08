/**
 * Facts about the hosted service that nobody could confirm, each with both answers (coze-api.md §23). Mutable: a test
 * or the sandbox turns them while the stand-in runs.
 */
export interface CozeSwitches {
  /** Whether a question is listed while its chat runs (§23.1). */
  runningQuestionListed: boolean;
  /** Whether a listed question carries its chat's id (§9.2). */
  questionHasChatId: boolean;
  /** HTTP status of a refusal: always 200, or the one that fits its code (§23.2). */
  refusalStatus: "ok" | "matching";
  /** Sent with rate-limit refusals, in s (§23.2). */
  retryAfterSeconds: number | undefined;
  /** Whether a chat that requires an action blocks the next one (§23.3). */
  requiresActionBlocks: boolean;
  doneAfterRequiresAction: boolean;
  doneAfterFailed: boolean;
  cancelledTurnsListed: boolean;
  canceledEventInStream: boolean;
  /** Whether the context holds only what the same `user_id` said (§23.7). */
  contextByUser: boolean;
  unknownConversation: "refuse" | "create";
  /** Comments during silence, in ms between two (§23.9). */
  keepAliveMs: number | undefined;
  textFilesAccepted: boolean;
  /** Whether a stored text satisfies the rule that an image needs a text beside it (§23.11). */
  storedTextSatisfiesImages: boolean;
  /** Data of the `done` event (§22.10). */
  doneData: string;
  /** Whether a chat may answer in another conversation than asked (§16.6). */
  conversationIdChanges: boolean;
  /** The documented example of a cancel has no `code` (§8.4). */
  cancelWithoutCode: boolean;
  /** Whether bots that were never published show in lists and alone (§12.1 says no, §12.2 has a filter for them). */
  newDraftsVisible: boolean;
  /** The vendor's own clients look at a chat with POST (§8.2). */
  retrieveByPost: boolean;
  /** Requests in any one second, by default those of the free plan (§14); `undefined` for none. */
  limits:
    | { chatPerSecond: number; uploadPerSecond: number; pollPerSecond: number; workflowPerSecond?: number }
    | undefined;
  /** Largest upload, in bytes (§10). */
  maxUploadBytes: number;
  /** How long a silent chat lives before the service gives it up (§1.7), in ms. */
  watchdogMs: number;
  /** How the token endpoints refuse (§2.6). */
  oauthErrorShape: "error_code" | "error" | "envelope";
  /** How far a signer's clock may be off, in s; the documentation names nothing (§2.3). */
  jwtToleranceSeconds: number;
  /** What `expires_in` of a token is; a device code's is always a duration (§2.3, §22.45). */
  tokenExpiresIn: "absolute" | "duration";
  /** 300 in prose, 1800 in the example (§2.4). */
  deviceCodeLifeSeconds: number;
  /** Whether the plan lets workflows run asynchronously (§13.2). */
  asyncWorkflows: boolean;
  /** Whether streams of workflows have `PING` events in them (§13.2). */
  workflowPings: boolean;
  /** Whether `Done` comes after `Error`, and after `Interrupt` (§22.46). */
  doneAfterError: boolean;
  doneAfterInterrupt: boolean;
  /** How a streamed workflow is refused: documented as JSON (§7.1), recorded as an `Error` event. */
  workflowRefusals: "json" | "event";
  /** Which model listens to recordings; the small one understands fewer formats (§11). */
  asrModel: "big" | "small";
  /** Self-hosted: whether a model's error is followed by `conversation.chat.completed` (§18). */
  studioErrorThenCompleted: boolean;
  /** Self-hosted: what a stream says of a chat that can't begin (§18). */
  studioSetUpFailure: "error" | "silent";
  /** Self-hosted: whether the last event tells the usage (§18). */
  studioUsageInCompleted: boolean;
  /** Self-hosted: whether a run that ends writes over the status that a cancel stored (§18). */
  studioCancelOverwritten: boolean;
  /** Self-hosted: whether errors that are told as text have their code in them. */
  studioErrorsTellCode: boolean;
}

export const DEFAULT_SWITCHES: CozeSwitches = {
  runningQuestionListed: true,
  questionHasChatId: true,
  refusalStatus: "ok",
  retryAfterSeconds: undefined,
  requiresActionBlocks: false,
  doneAfterRequiresAction: true,
  doneAfterFailed: true,
  cancelledTurnsListed: false,
  canceledEventInStream: false,
  contextByUser: true,
  unknownConversation: "refuse",
  keepAliveMs: undefined,
  textFilesAccepted: false,
  storedTextSatisfiesImages: false,
  doneData: '"[DONE]"',
  conversationIdChanges: false,
  cancelWithoutCode: false,
  newDraftsVisible: false,
  retrieveByPost: true,
  limits: { chatPerSecond: 20, uploadPerSecond: 10, pollPerSecond: 1, workflowPerSecond: 50 },
  maxUploadBytes: 512 * 1024 * 1024,
  watchdogMs: 300_000,
  oauthErrorShape: "error_code",
  jwtToleranceSeconds: 0,
  tokenExpiresIn: "absolute",
  deviceCodeLifeSeconds: 300,
  asyncWorkflows: false,
  workflowPings: true,
  doneAfterError: false,
  doneAfterInterrupt: false,
  workflowRefusals: "json",
  asrModel: "big",
  studioErrorThenCompleted: false,
  studioSetUpFailure: "error",
  studioUsageInCompleted: false,
  studioCancelOverwritten: false,
  studioErrorsTellCode: true,
};

/** What is different in a self-hosted Coze Studio from the start (§18). */
export const STUDIO_SWITCHES: Partial<CozeSwitches> = {
  maxUploadBytes: 200 * 1024 * 1024,
  // Nobody counts.
  limits: undefined,
};
