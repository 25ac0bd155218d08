import type { CallOutcome, ErrorCode } from "../core/errors.ts";

/** How the bridge takes an error of Coze. */
export interface CodeMeaning {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** `refused` only where no chat can have been started (coze-api.md §7.1). */
  readonly outcome: CallOutcome;
}

/** One of Coze's codes. `docs/errors.md` and its Chinese twin have a row for each. */
export interface CozeCode extends CodeMeaning {
  /** What Coze means by it. */
  readonly meaning: string;
  /** What the operator does about it. */
  readonly operator: string;
  /** Nothing gets better before the operator has done it: the error's message says it, too. */
  readonly mustAct: boolean;
}

export const no = (code: ErrorCode): CodeMeaning => ({ code, retryable: false, outcome: "refused" });
export const later = (code: ErrorCode): CodeMeaning => ({ code, retryable: true, outcome: "refused" });
export const unsure = (code: ErrorCode): CodeMeaning => ({ code, retryable: true, outcome: "unknown" });

type Row = readonly [number, CozeCode];

/** Something for the operator to do. */
const act = (code: number, reaction: CodeMeaning, meaning: string, operator: string): Row => [
  code,
  { ...reaction, meaning, operator, mustAct: true },
];
/** Nothing to do, or nothing yet. */
const rest = (code: number, reaction: CodeMeaning, meaning: string, operator: string): Row => [
  code,
  { ...reaction, meaning, operator, mustAct: false },
];

const REPORT = "Report it with Coze's code and log id";
const SLOWER = "a higher plan at Coze, or a lower `COZE_CHATS_PER_SECOND`";
const RENEW =
  "Make a new token and set `COZE_API_TOKEN`, or sign in again; check that `COZE_API_BASE` is where it was made (coze.cn or coze.com).";

/** Every code of coze-api.md §15, in its order. Codes that bring chats to an end are never asked twice blindly. */
const HOSTED: readonly Row[] = [
  act(
    4000,
    no("COZE_BAD_REQUEST"),
    "A parameter is wrong, or a file's name does not fit its content.",
    `Check that \`COZE_BOT_ID\` is the number at the end of the bot's address. ${REPORT} otherwise.`,
  ),
  rest(
    4001,
    no("COZE_NOT_FOUND"),
    "The chat does not exist, or not for this token.",
    "Nothing: the chat is forgotten. If it comes often, check that all processes use tokens of one account.",
  ),
  rest(
    4002,
    later("COZE_CONVERSATION_GONE"),
    "The conversation does not exist, or not for this token.",
    "Nothing: a new one is started. After a change of account it comes once for each conversation.",
  ),
  act(
    4003,
    no("COZE_BAD_REQUEST"),
    "`meta_data` is over its limits: 16 pairs of 64 and 512 characters.",
    `${REPORT}: the bridge keeps within them.`,
  ),
  act(
    4004,
    no("COZE_BAD_REQUEST"),
    "More messages in one request than Coze takes.",
    `${REPORT}: the bridge sends 100 at most.`,
  ),
  act(
    4005,
    no("COZE_BAD_REQUEST"),
    "A message's id or content is invalid.",
    `${REPORT}, and with the kinds of files that the question had.`,
  ),
  act(
    4006,
    no("COZE_NOT_FOUND"),
    "The bot does not exist, or not for this token.",
    "Check `COZE_BOT_ID` and `COZE_API_BASE`, and that the token has the bot's workspace.",
  ),
  act(
    4007,
    no("COZE_BAD_REQUEST"),
    "A chat without streaming must save its history.",
    `${REPORT}: the bridge always saves it.`,
  ),
  rest(
    4008,
    no("COZE_USER_QUOTA"),
    "The asker's daily allowance of this bot is used up.",
    "Nothing: it starts anew the next day. Or raise the bot's limit per user at Coze.",
  ),
  rest(
    4009,
    unsure("COZE_BUSY"),
    "Coze's system is busy.",
    "Nothing if rare: it is tried again. If it stays, look at Coze's status page.",
  ),
  rest(
    4010,
    no("COZE_PROMPT_TOO_LONG"),
    "Prompt, context and question are more than the bot's model takes.",
    "Shorten the bot's prompt, give it fewer rounds of context, or choose a model that takes more.",
  ),
  act(
    4011,
    no("COZE_QUOTA"),
    "The balance of Coze tokens is used up.",
    "Top up the Coze tokens of the account that owns the bot's workspace.",
  ),
  act(
    4012,
    no("COZE_NOT_FOUND"),
    "The bot's model is invalid or was removed.",
    "Choose another model for the bot at Coze and publish it again.",
  ),
  rest(
    4013,
    unsure("COZE_BUSY"),
    "The model failed for now, or is asked too often.",
    `Nothing if rare: it is tried again. If it grows: ${SLOWER}.`,
  ),
  rest(
    4014,
    no("COZE_REFUSED"),
    "The model does not answer this question.",
    "Nothing. If harmless questions are refused, look at the bot's prompt and its model.",
  ),
  act(
    4015,
    no("COZE_BOT_UNPUBLISHED"),
    "The bot is not published as an API service.",
    'Publish the bot at Coze with "API" among its channels.',
  ),
  rest(
    4016,
    later("COZE_OCCUPIED"),
    "Another chat runs in the same conversation.",
    "Nothing: it is tried again. If it stays, stop what else asks in the bridge's conversations.",
  ),
  act(
    4019,
    no("COZE_QUOTA"),
    "The pay-as-you-go balance at Volcano Engine is used up.",
    "Top up the balance of the Volcano Engine account that the Coze account belongs to.",
  ),
  rest(
    4020,
    later("COZE_BUSY"),
    "More requests a minute than the bot may have at Volcano Engine.",
    "Nothing if rare: it is tried again. If it grows: have the limit raised there, or lower `COZE_CHATS_PER_SECOND`.",
  ),
  act(
    4021,
    no("COZE_BAD_REQUEST"),
    "The bot's workflow is not configured.",
    "Configure the workflow of the bot at Coze, then publish both again.",
  ),
  act(
    4022,
    no("COZE_QUOTA"),
    "The model service at Volcano Ark is in arrears.",
    "Pay what is owed for the model service (Ark) at Volcano Engine.",
  ),
  act(4027, no("COZE_QUOTA"), "The Coze account is overdue.", "Pay the Coze account's open bill."),
  act(
    4028,
    no("COZE_QUOTA"),
    "The Coze account has too few credits left.",
    "Buy credits for the Coze account, or move it to a higher plan.",
  ),
  act(
    4033,
    no("COZE_QUOTA"),
    "A limit of the account or plan; Coze documents it nowhere.",
    "Check balance, credits and plan of the Coze account; give Coze's support the log id.",
  ),
  act(4100, no("COZE_AUTH"), "The token is wrong, expired, or of the other region.", RENEW),
  act(
    4101,
    no("COZE_PERMISSION"),
    "The token lacks a permission or the workspace.",
    "Give the token the bot's workspace and the permissions for chat, conversations, messages and files.",
  ),
  act(
    4102,
    later("COZE_BUSY"),
    "Coze's risk control stopped the request.",
    "Look for a notice in the Coze account; if it stays, ask Coze's support with the log id.",
  ),
  rest(4104, no("COZE_BAD_REQUEST"), "The chat can't be cancelled any more.", "Nothing: it is over."),
  act(
    4105,
    no("COZE_SENSITIVE"),
    "The bot's configuration contains sensitive words.",
    "Remove them from the bot's name, prompt and opening words, then publish it again.",
  ),
  act(
    4200,
    no("COZE_NOT_FOUND"),
    "A resource does not exist, or a workflow is not published.",
    "Publish the workflows that the bot uses, then the bot; check the ids that were given.",
  ),
  rest(4201, no("COZE_BAD_REQUEST"), "The member is there already.", "Nothing: the bridge adds no members."),
  rest(4300, no("FILE_EMPTY"), "The uploaded file is empty.", "Nothing; the asker was told."),
  act(
    4301,
    no("COZE_BAD_REQUEST"),
    "More than one file in an upload.",
    `${REPORT}: the bridge sends one at a time.`,
  ),
  rest(
    4302,
    no("FILE_TOO_LARGE"),
    "The uploaded file is too large (over 512 MB).",
    "Nothing; the asker was told.",
  ),
  rest(4303, no("FILE_TYPE"), "Coze takes no files of this kind.", "Nothing; the asker was told."),
  rest(
    4304,
    no("FILE_TYPE"),
    "The file is invalid.",
    "Nothing; the asker was told. The file is damaged, or its ending wrong.",
  ),
  act(
    4314,
    no("COZE_NOT_FOUND"),
    "The run of a workflow is not found.",
    "Check the run's id, and that the token is of the account that started it.",
  ),
  rest(
    4315,
    no("COZE_BAD_REQUEST"),
    "The run of a workflow has ended.",
    "Nothing: look at the run's history at Coze.",
  ),
  rest(
    5000,
    unsure("COZE_FAILED"),
    "An internal error of Coze; also a wrong bot id when a conversation is created.",
    "Check `COZE_BOT_ID` if no question is answered. If it comes now and then: Coze's support with the log id.",
  ),
  act(
    6003,
    no("COZE_QUOTA"),
    "Asynchronous workflows need a paid plan.",
    "Move the Coze account to a paid plan, or run the workflow in the foreground.",
  ),
  act(
    6006,
    later("COZE_FAILED"),
    "A code node of a workflow took longer than a minute.",
    "Let the code node of the workflow do less, or split it into several.",
  ),
  act(700012006, no("COZE_AUTH"), "The token is invalid (also self-hosted).", RENEW),
  rest(
    702093018,
    later("COZE_BUSY"),
    "A plugin is called more often than the plan allows.",
    "Nothing if rare: it is tried again. If it grows: a higher plan for the plugin, or fewer calls of it in the bot.",
  ),
  act(
    720711011,
    no("COZE_FAILED"),
    "A plugin that the bot uses was taken offline.",
    "Remove or replace the plugin in the bot, then publish the bot again.",
  ),
  rest(
    708230702,
    later("COZE_FAILED"),
    "The knowledge base's server failed.",
    "Nothing if rare: it is tried again. If it stays: Coze's support with the log id.",
  ),
  act(
    708232001,
    no("COZE_FAILED"),
    "A parameter of the knowledge base is wrong.",
    "Check the knowledge settings of the bot at Coze, then publish it again.",
  ),
  act(
    708232003,
    no("COZE_PERMISSION"),
    "No permission for the knowledge base.",
    "Move the bot's knowledge base into its workspace, or give the token's owner access to it.",
  ),
  rest(
    710005002,
    later("COZE_BUSY"),
    "More API calls than the plan allows.",
    `Nothing if rare: it is tried again. If it grows: ${SLOWER}.`,
  ),
  act(
    720701013,
    no("COZE_FAILED"),
    "A workflow failed.",
    "Run the workflow at Coze with the same input and mend the node that fails.",
  ),
  act(
    720702011,
    no("COZE_NOT_FOUND"),
    "A workflow is not published.",
    "Publish the workflow at Coze, then the bot that uses it.",
  ),
  act(
    720702085,
    later("COZE_FAILED"),
    "A workflow took too long.",
    "Find the slow node in the workflow's trial run at Coze, and let it do less.",
  ),
  act(
    720702204,
    no("COZE_NOT_FOUND"),
    "A workflow names a conversation that does not exist.",
    "Check the conversation name in the workflow's settings and in the call.",
  ),
  act(
    788788103,
    no("COZE_QUOTA"),
    "The Volcano Engine account has outstanding payments.",
    "Pay the open bills of the Volcano Engine account.",
  ),
];

/** What a self-hosted Coze says besides, in the order of coze-api.md §18. */
const SELF_HOSTED: readonly Row[] = [
  rest(
    104000004,
    no("FILE_TOO_LARGE"),
    "Self-hosted: the uploaded file is too large (over 200 MB).",
    "Nothing; the asker was told.",
  ),
  rest(104000006, no("FILE_EMPTY"), "Self-hosted: an upload without a file.", "Nothing; the asker was told."),
  act(
    104000007,
    no("COZE_BAD_REQUEST"),
    "Self-hosted: more than one file in an upload.",
    `${REPORT}: the bridge sends one at a time.`,
  ),
  act(
    103000000,
    no("COZE_BAD_REQUEST"),
    "Self-hosted: a parameter is wrong.",
    `Check that \`COZE_BOT_ID\` is a number of this server. ${REPORT} otherwise.`,
  ),
  act(
    103000001,
    no("COZE_PERMISSION"),
    "Self-hosted: the conversation is another account's.",
    "Use a token of the account that made the conversations, and that owns the bot.",
  ),
  rest(
    103000002,
    later("COZE_CONVERSATION_GONE"),
    "Self-hosted: the conversation is not found.",
    "Nothing: a new one is started.",
  ),
  rest(
    103100001,
    unsure("COZE_FAILED"),
    "Self-hosted: the bot's run failed.",
    "Look at the server's log: mostly the model is set up wrongly or can't be reached.",
  ),
  act(
    103100002,
    no("COZE_NOT_FOUND"),
    "Self-hosted: the bot is missing.",
    "Check `COZE_BOT_ID`, and that the bot is published on this server.",
  ),
  rest(
    103200001,
    no("COZE_FAILED"),
    "Self-hosted: the message is not found.",
    "Nothing if rare. If it stays, look at the server's log.",
  ),
  rest(
    103200002,
    unsure("COZE_FAILED"),
    "Self-hosted: an internal error during a run.",
    "Look at the server's log for the time of the error.",
  ),
  rest(
    103200003,
    no("COZE_NOT_FOUND"),
    "Self-hosted: the record of a chat is missing.",
    "Nothing: the chat is forgotten. If it comes often, look at the server's database.",
  ),
  rest(
    103200005,
    no("COZE_BAD_REQUEST"),
    "Self-hosted: the chat can't be cancelled any more.",
    "Nothing: it is over.",
  ),
];

/** Every code of Coze that is known. Of `docs/errors.md` the sentences of the askers come from `notices.ts`. */
export const COZE_CODES: ReadonlyMap<number, CozeCode> = new Map([...HOSTED, ...SELF_HOSTED]);

/** The chat cannot be cancelled any more, it is over: hosted (coze-api.md §8.4), self-hosted (§18). */
export const NOT_CANCELLABLE: ReadonlySet<number | undefined> = new Set([4104, 103200005]);
