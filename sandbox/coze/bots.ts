import type { StandInClock } from "../stand-in.ts";
import type { Accounts } from "./accounts.ts";
import { type BotConfig, checkConfig, EMPTY_CONFIG, isSensitive } from "./bot-rules.ts";
import { checkPage, toPage } from "./pages.ts";
import type { Outcome } from "./routes.ts";
import { type Fields, isRefusal, type Refusal, refuse } from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";

/** The channels that everybody has: the API, and the Chat SDK (coze-api.md §12.2). */
const API_CONNECTOR = "1024";
const SDK_CONNECTOR = "999";
/** A workspace that is unknown or not the caller's (coze-api.md §15: "no permission (scope or workspace)"). */
const NO_WORKSPACE = 4101;
/** Bots of a page, when nobody says (`DOC:bots_list_draft_published`). */
const DEFAULT_PAGE_SIZE = 20;
/** Longest reason for taking a bot down, in characters (`DOC:unpublish_agent`). */
const MAX_REASON = 1_024;
const STATUSES = new Set(["all", "published_online", "published_draft", "unpublished_draft"]);

/** A version of a bot that is online. */
interface OnlineBot {
  readonly config: BotConfig;
  readonly version: string;
  /** Unix seconds. */
  readonly publishedAt: number;
}

/** A bot the service knows. */
export interface StandInBot {
  readonly id: string;
  readonly workspaceId: string;
  readonly ownerId: string;
  readonly createdAt: number;
  updatedAt: number;
  draft: BotConfig;
  /** By channel. */
  readonly online: Map<string, OnlineBot>;
  /** Quick commands, by id: the question that each stands for, with `{{name}}` for its parameters. */
  readonly shortcuts: Map<string, string>;
}

/** A bot as a chat meets it. */
export interface AskedBot {
  readonly config: BotConfig;
  readonly shortcuts: ReadonlyMap<string, string>;
}

export interface BotsOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  readonly accounts: Accounts;
  readonly newId: () => string;
  readonly hasFile: (fileId: string) => boolean;
}

/** Bots: drafts, and what of them is online (coze-api.md §12.1, §12.2). Knows nothing of HTTP. */
export class BotsService {
  readonly all: Map<string, StandInBot> = new Map();
  readonly #options: BotsOptions;
  #lastVersion = 0;

  constructor(options: BotsOptions) {
    this.#options = options;
  }

  /** A bot that is there without anybody's call. */
  add(bot: { id: string; workspaceId: string; ownerId: string; published: boolean }): void {
    const draft = { ...EMPTY_CONFIG, name: "Sandbox bot", suggests: true };
    const now = this.#seconds();
    const { published, ...ids } = bot;
    const added = { ...ids, draft, createdAt: now, updatedAt: now, online: new Map(), shortcuts: new Map() };
    this.all.set(bot.id, added);
    if (published) this.#goOnline(added, [API_CONNECTOR]);
  }

  create(body: Fields, token: string): Outcome {
    const workspaceId = body["space_id"];
    if (typeof workspaceId !== "string" || workspaceId === "") return refuse(4000, "space_id is required");
    if (!this.#isMember(token, workspaceId)) return refuse(NO_WORKSPACE, "no permission");
    const draft = checkConfig(body, EMPTY_CONFIG, this.#options.hasFile);
    if (isRefusal(draft)) return draft;
    const id = this.#options.newId();
    const now = this.#seconds();
    const empty = { createdAt: now, updatedAt: now, online: new Map(), shortcuts: new Map() };
    this.all.set(id, { id, workspaceId, ownerId: this.#options.accounts.userOf(token).id, draft, ...empty });
    return { body: { data: { bot_id: id } } };
  }

  update(body: Fields, token: string): Outcome {
    const bot = this.#find(body["bot_id"], token);
    if (isRefusal(bot)) return bot;
    const draft = checkConfig(body, bot.draft, this.#options.hasFile);
    if (isRefusal(draft)) return draft;
    bot.draft = draft;
    bot.updatedAt = this.#seconds();
    return { body: {} };
  }

  publish(body: Fields, token: string): Outcome {
    const bot = this.#find(body["bot_id"], token);
    if (isRefusal(bot)) return bot;
    const connectors = body["connector_ids"];
    if (!Array.isArray(connectors) || connectors.length === 0 || !connectors.every(isText)) {
      return refuse(4000, "connector_ids is required");
    }
    const isCustom = connectors.some((id) => id !== API_CONNECTOR && id !== SDK_CONNECTOR);
    if (isCustom && !connectors.includes(API_CONNECTOR)) {
      return refuse(4000, "a channel of one's own needs the API beside it");
    }
    if (isSensitive(bot.draft)) return refuse(4105, "the configuration contains sensitive words");
    return { body: { data: { bot_id: bot.id, version: this.#goOnline(bot, connectors) } } };
  }

  unpublish(botId: string, body: Fields, token: string): Outcome {
    const bot = this.#find(botId, token);
    if (isRefusal(bot)) return bot;
    const { connector_id: connectorId, unpublish_reason: reason = "" } = body;
    if (typeof connectorId !== "string" || connectorId === "")
      return refuse(4000, "connector_id is required");
    if (typeof reason !== "string" || reason.length > MAX_REASON)
      return refuse(4000, "the reason is too long");
    if (!bot.online.delete(connectorId)) return refuse(4015, "bot is not published there");
    return { body: {} };
  }

  retrieve(botId: string, query: (name: string) => string, token: string): Outcome {
    const bot = this.#find(botId, token);
    if (isRefusal(bot)) return bot;
    const published = query("is_published") || "true";
    if (published !== "true" && published !== "false") return refuse(4000, "is_published is a bool");
    if (!this.#isVisible(bot)) return refuse(4006, "bot not found");
    const online = newest(bot);
    if (published === "false") return { body: { data: toWireBot(bot, bot.draft, online?.version ?? "") } };
    if (online === undefined) return refuse(4015, "bot is not published");
    return { body: { data: toWireBot(bot, online.config, online.version) } };
  }

  list(query: (name: string) => string, token: string): Outcome {
    const page = checkPage(query, { defaultSize: DEFAULT_PAGE_SIZE });
    if (isRefusal(page)) return page;
    const workspaceId = query("workspace_id");
    if (workspaceId === "") return refuse(4000, "workspace_id is required");
    if (!this.#isMember(token, workspaceId)) return refuse(NO_WORKSPACE, "no permission");
    const status = query("publish_status") || "published_online";
    if (!STATUSES.has(status)) return refuse(4000, "publish_status is unknown");
    const connectorId = query("connector_id") || API_CONNECTOR;
    const listed = [...this.all.values()].filter(
      (bot) => bot.workspaceId === workspaceId && this.#isListed(bot, status, connectorId),
    );
    const items = toPage(listed, page).page.map((bot) => toWireSummary(bot, status, connectorId));
    return { body: { data: { items, total: listed.length } } };
  }

  /** The old call for {@link retrieve}, which the vendor's clients still make (coze-api.md §12.2). */
  retrieveOnline(botId: string, token: string): Outcome {
    const bot = this.#find(botId, token);
    if (isRefusal(bot)) return bot;
    const online = bot.online.get(API_CONNECTOR);
    if (online === undefined) return refuse(4015, "bot is not published to the API connector");
    return { body: { data: toWireBot(bot, online.config, online.version) } };
  }

  /** The old call for {@link list}, with other names; the last published first (coze-api.md §12.2). */
  listOnline(query: (name: string) => string, token: string): Outcome {
    const names: Readonly<Record<string, string>> = { page_num: "page_index" };
    const page = checkPage((name) => query(names[name] ?? name), { defaultSize: DEFAULT_PAGE_SIZE });
    if (isRefusal(page)) return page;
    const workspaceId = query("space_id");
    if (workspaceId === "") return refuse(4000, "space_id is required");
    if (!this.#isMember(token, workspaceId)) return refuse(NO_WORKSPACE, "no permission");
    const listed = [...this.all.values()]
      .filter((bot) => bot.workspaceId === workspaceId)
      .flatMap((bot) => {
        const online = bot.online.get(API_CONNECTOR);
        return online === undefined ? [] : [{ id: bot.id, ...online }];
      })
      .toSorted((a, b) => Number(b.version) - Number(a.version));
    const bots = toPage(listed, page).page.map(({ id, config, publishedAt }) => ({
      bot_id: id,
      bot_name: config.name,
      description: config.description,
      icon_url: "https://example.com/bot.png",
      publish_time: String(publishedAt),
    }));
    return { body: { data: { space_bots: bots, total: listed.length } } };
  }

  /** What a chat over the API talks to: the draft, or what is online there; or why there is none. */
  ask(botId: string, status: "published_online" | "unpublished_draft"): AskedBot | Refusal {
    const bot = this.all.get(botId);
    if (bot === undefined) return refuse(4006, "bot not found");
    const { draft, shortcuts } = bot;
    const config = status === "unpublished_draft" ? draft : bot.online.get(API_CONNECTOR)?.config;
    return config === undefined
      ? refuse(4015, "bot is not published to the API connector")
      : { config, shortcuts };
  }

  #find(botId: unknown, token: string): StandInBot | Refusal {
    const bot = typeof botId === "string" ? this.all.get(botId) : undefined;
    const isTheirs = bot !== undefined && this.#isMember(token, bot.workspaceId);
    return isTheirs ? bot : refuse(4006, "bot not found");
  }

  #isMember(token: string, workspaceId: string): boolean {
    const { accounts } = this.#options;
    return accounts.isMember(accounts.userOf(token).id, workspaceId);
  }

  /** Drafts that were never online show nowhere, says the page of creating one; lists have a status for them (§12.1). */
  #isVisible({ online }: StandInBot): boolean {
    return online.size > 0 || this.#options.switches.newDraftsVisible;
  }

  #isListed(bot: StandInBot, status: string, connectorId: string): boolean {
    if (!this.#isVisible(bot)) return false;
    if (status === "all") return true;
    if (status === "unpublished_draft") return bot.online.size === 0;
    return bot.online.has(connectorId);
  }

  #goOnline(bot: StandInBot, connectorIds: readonly string[]): string {
    // Milliseconds, and never the same twice (`DOC:publish_bot`).
    this.#lastVersion = Math.max(this.#lastVersion + 1, Math.floor(this.#options.clock.now()));
    const version = String(this.#lastVersion);
    const online = { config: bot.draft, version, publishedAt: this.#seconds() };
    for (const connectorId of connectorIds) bot.online.set(connectorId, online);
    return version;
  }

  #seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

function newest({ online }: StandInBot): OnlineBot | undefined {
  return [...online.values()].toSorted((a, b) => Number(b.version) - Number(a.version))[0];
}

function toWireSummary(bot: StandInBot, status: string, connectorId: string): object {
  const online = bot.online.get(connectorId) ?? newest(bot);
  const config = status === "published_online" && online !== undefined ? online.config : bot.draft;
  return {
    id: bot.id,
    name: config.name,
    description: config.description,
    icon_url: "https://example.com/bot.png",
    updated_at: bot.updatedAt,
    is_published: online !== undefined,
    ...(online !== undefined && { published_at: online.publishedAt }),
    owner_user_id: bot.ownerId,
  };
}

function toWireBot(bot: StandInBot, config: BotConfig, version: string): object {
  return {
    bot_id: bot.id,
    name: config.name,
    description: config.description,
    icon_url: "https://example.com/bot.png",
    create_time: bot.createdAt,
    update_time: bot.updatedAt,
    version,
    prompt_info: config.prompt,
    onboarding_info: { prologue: config.prologue, suggested_questions: config.questions },
    bot_mode: 0,
    model_info: { model_id: config.modelId, model_name: "Sandbox model" },
    plugin_info_list: config.plugins.map(({ plugin_id: pluginId, api_id: apiId }) => ({
      plugin_id: pluginId,
      name: "Plugin",
      description: "",
      icon_url: "https://example.com/plugin.png",
      api_info_list: [{ api_id: apiId, name: "tool", description: "" }],
    })),
    workflow_info_list: config.workflowIds.map((id) => ({
      id,
      name: "Workflow",
      description: "",
      icon_url: "",
    })),
    shortcut_commands: [...bot.shortcuts].map(([id, question]) => ({
      id,
      name: `Command ${id}`,
      command: `/command_${id}`,
      description: "",
      query_template: question,
    })),
    owner_user_id: bot.ownerId,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
