import { type Arguments, isTrue, textOf } from "./arguments.ts";
import { fileJson, sharesOf } from "./files.ts";
import type { Messages } from "./messages.ts";
import { SlackRefusal } from "./refusal.ts";
import type { Uploads } from "./uploads.ts";
import type { SlackUser, Workspace } from "./workspace.ts";

export interface WebApiParts {
  readonly workspace: Workspace;
  readonly messages: Messages;
  /** Address of the stand-in, without a slash at its end. */
  readonly origin: string;
  /** Makes a single-use WebSocket address. */
  readonly newSocketUrl: () => string;
  readonly uploads: Uploads;
}

interface Method {
  /** Scope of the bot, `app` for the app-level token, nothing when any bot may. */
  readonly scope?: string | ((args: Arguments, workspace: Workspace) => string);
  readonly app?: true;
  readonly required?: readonly string[];
  readonly run: (args: Arguments, parts: WebApiParts) => Arguments;
}

const history = (args: Arguments, { channels }: Workspace): string => {
  const kind = channels.get(textOf(args, "channel"))?.kind ?? "channel";
  return { channel: "channels:history", group: "groups:history", im: "im:history" }[kind];
};

/** The methods this stand-in knows (slack.md §1.2, §2.3, §5, §8.1). */
const METHODS: Readonly<Record<string, Method>> = {
  "api.test": { run: (args) => ({ args }) },
  "auth.test": { run: (_args, { workspace, origin }) => authTest(workspace, origin) },
  "apps.connections.open": { app: true, run: (_args, { newSocketUrl }) => ({ url: newSocketUrl() }) },
  "chat.postMessage": {
    scope: "chat:write",
    required: ["channel"],
    run: (args, { messages }) => messages.postMessage(args),
  },
  "chat.update": {
    scope: "chat:write",
    required: ["channel", "ts"],
    run: (args, { messages }) => messages.update(args),
  },
  "chat.delete": {
    scope: "chat:write",
    required: ["channel", "ts"],
    run: (args, { messages }) => messages.delete(args),
  },
  "chat.startStream": {
    scope: "chat:write",
    required: ["channel"],
    run: (args, { messages }) => messages.startStream(args),
  },
  "chat.appendStream": {
    scope: "chat:write",
    required: ["channel", "ts"],
    run: (args, { messages }) => messages.appendStream(args),
  },
  "chat.stopStream": {
    scope: "chat:write",
    required: ["channel", "ts"],
    run: (args, { messages }) => messages.stopStream(args),
  },
  "chat.getPermalink": {
    required: ["channel", "message_ts"],
    run: (args, { workspace, origin }) => {
      const [channel, ts] = [textOf(args, "channel"), textOf(args, "message_ts")];
      if (workspace.channels.get(channel)?.messages.has(ts) !== true)
        throw new SlackRefusal("message_not_found");
      return { channel, permalink: `${origin}/archives/${channel}/p${ts.replace(".", "")}` };
    },
  },
  "conversations.open": {
    scope: "im:write",
    run: (args, { workspace }) => {
      const user = textOf(args, "users");
      if (!workspace.users.has(user)) throw new SlackRefusal("user_not_found");
      return { channel: { id: workspace.dmWith(user).id } };
    },
  },
  "conversations.replies": {
    scope: history,
    required: ["channel", "ts"],
    run: (args, { messages }) => messages.replies(args),
  },
  "conversations.history": {
    scope: history,
    required: ["channel"],
    run: (args, { messages }) => messages.history(args),
  },
  "reactions.add": {
    scope: "reactions:write",
    required: ["channel", "timestamp", "name"],
    run: (args, { messages }) => messages.react(args, { add: true }),
  },
  "reactions.remove": {
    scope: "reactions:write",
    required: ["channel", "timestamp", "name"],
    run: (args, { messages }) => messages.react(args, { add: false }),
  },
  "users.info": {
    scope: "users:read",
    required: ["user"],
    run: (args, { workspace }) => {
      const id = textOf(args, "user");
      if (id === workspace.bot.userId) return { user: botUserJson(workspace) };
      const user = workspace.users.get(id);
      if (user === undefined) throw new SlackRefusal("user_not_found");
      return { user: userJson(user, isTrue(args["include_locale"])) };
    },
  },
  "files.info": {
    scope: "files:read",
    required: ["file"],
    run: (args, { workspace, uploads, origin }) => {
      const file = workspace.files.get(textOf(args, "file"));
      if (file === undefined || uploads.isHidden(file)) throw new SlackRefusal("file_not_found");
      const { file_access: _stub, ...whole } = fileJson(file, { team: workspace.team, origin });
      return { file: { ...whole, shares: sharesOf(file, workspace) }, content_type: file.mimetype };
    },
  },
  "files.getUploadURLExternal": {
    scope: "files:write",
    required: ["filename", "length"],
    run: (args, { uploads, origin }) => uploads.begin(args, origin),
  },
  "files.completeUploadExternal": {
    scope: "files:write",
    required: ["files"],
    run: (args, { uploads }) => uploads.complete(args),
  },
  "files.delete": {
    scope: "files:write",
    required: ["file"],
    run: (args, { uploads }) => uploads.delete(args),
  },
  "assistant.threads.setStatus": {
    scope: "chat:write",
    required: ["channel_id", "thread_ts", "status"],
    run: (args, { workspace }) => {
      const channel = workspace.channels.get(textOf(args, "channel_id"));
      if (channel?.members.has(workspace.bot.userId) !== true) throw new SlackRefusal("channel_not_found");
      const [thread, text] = [textOf(args, "thread_ts"), textOf(args, "status")];
      if (text === "") channel.status.delete(thread);
      else channel.status.set(thread, { text, at: workspace.clock.now() });
      workspace.changed(channel.id);
      return {};
    },
  },
};

/** Which tokens the stand-in takes, and what they may. */
export interface Tokens {
  readonly bot: string;
  readonly app: string;
  readonly scopes: ReadonlySet<string>;
}

export interface ApiAnswer {
  readonly body: Arguments;
  /** What the method wants, for `x-accepted-oauth-scopes`. */
  readonly accepted: string;
}

/** Runs one call. Errors are bodies, as Slack's are. */
export function callMethod(
  name: string,
  { token, args }: { token: string | undefined; args: Arguments | undefined },
  { tokens, ...parts }: WebApiParts & { tokens: Tokens },
): ApiAnswer {
  const method = METHODS[name];
  if (method === undefined)
    return { body: { ok: false, error: "unknown_method", req_method: name }, accepted: "" };
  const scope = scopeOf(method, args ?? {}, parts.workspace);
  try {
    checkToken(method, token, tokens);
    if (args === undefined) throw new SlackRefusal("invalid_json");
    if (scope !== "" && !tokens.scopes.has(scope)) {
      throw new SlackRefusal("missing_scope", { needed: scope, provided: [...tokens.scopes].join(",") });
    }
    checkRequired(method, args);
    return { body: { ok: true, ...method.run(args, parts) }, accepted: scope };
  } catch (error) {
    if (!(error instanceof SlackRefusal)) throw error;
    return { body: { ok: false, error: error.message, ...error.fields }, accepted: scope };
  }
}

function scopeOf({ scope }: Method, args: Arguments, workspace: Workspace): string {
  return typeof scope === "function" ? scope(args, workspace) : (scope ?? "");
}

function checkToken(method: Method, token: string | undefined, tokens: Tokens): void {
  if (token === undefined || token === "") throw new SlackRefusal("not_authed");
  if (token !== tokens.bot && token !== tokens.app) throw new SlackRefusal("invalid_auth");
  const right = method.app === true ? tokens.app : tokens.bot;
  if (token !== right) throw new SlackRefusal("not_allowed_token_type");
}

function checkRequired({ required = [] }: Method, args: Arguments): void {
  const missing = required.filter((name) => args[name] === undefined || args[name] === null);
  if (missing.length === 0) return;
  const messages = missing.map((name) => `[ERROR] missing required field: ${name}`);
  throw new SlackRefusal("invalid_arguments", { response_metadata: { messages } });
}

function authTest({ team, bot, appId }: Workspace, origin: string): Arguments {
  return {
    url: `${origin}/`,
    team: "Sandbox",
    user: bot.name.toLowerCase(),
    team_id: team,
    user_id: bot.userId,
    bot_id: bot.botId,
    app_id: appId,
    is_enterprise_install: false,
  };
}

function userJson({ id, name, locale, team }: SlackUser, withLocale: boolean): Arguments {
  return {
    id,
    team_id: team,
    name: name.toLowerCase(),
    deleted: false,
    real_name: name,
    is_bot: false,
    profile: { display_name: name, real_name: name },
    ...(withLocale && { locale }),
  };
}

/** An app's bot is a user, too. */
function botUserJson({ team, appId, bot }: Workspace): Arguments {
  return {
    ...userJson({ id: bot.userId, name: bot.name, locale: "", team }, false),
    is_bot: true,
    profile: { display_name: "", real_name: bot.name, api_app_id: appId, bot_id: bot.botId },
  };
}
