import type { Abortable } from "../../core/ports.ts";
import { type BotConfig, toBotBody } from "../bot-request.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { type NumberedPage, type PageNumber, readNumbered, toPageQuery } from "../paging.ts";
import { checkLength, refuse, toPathPart } from "../refusal.ts";
import { type BotSummary, type StoredBot, toBotPage, toStoredBot } from "../stored-bot.ts";
import { botPageSchema, botSchema, createdBotSchema, publishedSchema } from "../wire/bots.ts";
import { nothingSchema } from "../wire/envelope.ts";

/** Where a bot is published so that it can be asked here: the API (coze-api.md §12.2). */
const API_CONNECTOR = "1024";
/** Bots of a page, the documented default; of the most, nobody says anything (`DOC:bots_list_draft_published`). */
const PAGE_SIZE = 20;
/** Longest reason for taking a bot down, in characters (`DOC:unpublish_agent`). */
const MAX_REASON = 1_024;

/** A bot to be created. */
export interface NewBot extends BotConfig {
  readonly workspaceId: string;
  /** 1–20 characters. */
  readonly name: string;
}

/** Which bots are listed. */
export interface ListBotsOptions extends Abortable {
  readonly workspaceId: string;
  /**
   * Default `published_online`: as they are online. `published_draft` is their newest draft, `unpublished_draft` those
   * that were never published, `all` every bot as a draft.
   */
  readonly publishStatus?: "all" | "published_online" | "published_draft" | "unpublished_draft";
  /** Where they are published; default `1024`, the API. */
  readonly connectorId?: string;
  /** 1–50, default 20. */
  readonly pageSize?: number;
}

/** A bot that went online. */
export interface PublishedBot {
  readonly botId: string;
  readonly version: string;
}

/** Bots and their configuration (coze-api.md §12.1, §12.2). Every method throws {@link CozeError}. */
export class BotsApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** All of them, page by page as they are read; the reader may stop early. */
  list(options: ListBotsOptions): AsyncIterable<BotSummary> {
    return readNumbered((pageNumber) => this.page({ ...options, pageNumber }), {
      toId: ({ botId }) => botId,
      call: "GET /v1/bots",
    });
  }

  async page(options: ListBotsOptions & PageNumber): Promise<NumberedPage<BotSummary>> {
    const { workspaceId, publishStatus, connectorId, pageNumber = 1, pageSize = PAGE_SIZE, signal } = options;
    const query = {
      workspace_id: workspaceId,
      publish_status: publishStatus,
      connector_id: connectorId,
      ...toPageQuery({ pageNumber, pageSize }),
    };
    const call: CozeCall = { method: "GET", path: "/v1/bots", query, signal };
    return toBotPage(await this.#http.call(call, botPageSchema), { pageNumber, pageSize });
  }

  /** @param options.published - Default true: as it is online; false for the draft. */
  async retrieve(
    botId: string,
    { published = true, signal }: Abortable & { readonly published?: boolean },
  ): Promise<StoredBot> {
    const query = { is_published: published };
    const call: CozeCall = { method: "GET", path: `/v1/bots/${toPathPart(botId)}`, query, signal };
    return toStoredBot(await this.#http.call(call, botSchema));
  }

  /**
   * Creates a draft, which can be asked once it is {@link publish}ed. Never repeat it blindly: every call makes a bot.
   *
   * @returns The bot's id.
   */
  async create({ workspaceId, ...config }: NewBot, { signal }: Abortable): Promise<string> {
    const json = { space_id: workspaceId, ...toBotBody(config) };
    const call: CozeCall = { method: "POST", path: "/v1/bot/create", json, signal };
    return (await this.#http.call(call, createdBotSchema)).bot_id;
  }

  /** Changes the draft; it takes effect when it is {@link publish}ed. */
  async update(botId: string, config: BotConfig, { signal }: Abortable): Promise<void> {
    const json = { bot_id: botId, ...toBotBody(config) };
    await this.#http.call({ method: "POST", path: "/v1/bot/update", json, signal }, nothingSchema);
  }

  /**
   * Puts the draft online.
   *
   * @param options.connectorIds - Where; default the API alone. With a channel of one's own the API is a must.
   * @throws {CozeError} `COZE_SENSITIVE` when Coze finds forbidden words in the configuration.
   */
  async publish(
    botId: string,
    { connectorIds = [API_CONNECTOR], signal }: Abortable & { readonly connectorIds?: readonly string[] },
  ): Promise<PublishedBot> {
    if (connectorIds.length === 0) refuse("a bot is published somewhere");
    const json = { bot_id: botId, connector_ids: connectorIds };
    const call: CozeCall = { method: "POST", path: "/v1/bot/publish", json, signal };
    const { bot_id: published = botId, version } = await this.#http.call(call, publishedSchema);
    return { botId: published, version };
  }

  /**
   * Takes a bot down; chats with it are refused then.
   *
   * @param options.connectorId - From where; default the API.
   * @param options.reason - At most 1,024 characters, shown in Coze's console.
   */
  async unpublish(
    botId: string,
    {
      connectorId = API_CONNECTOR,
      reason,
      signal,
    }: Abortable & { readonly connectorId?: string; readonly reason?: string },
  ): Promise<void> {
    checkLength("the reason", reason, { most: MAX_REASON });
    const path = `/v1/bots/${toPathPart(botId)}/unpublish`;
    const json = { connector_id: connectorId, unpublish_reason: reason };
    await this.#http.call({ method: "POST", path, json, signal }, nothingSchema);
  }
}
