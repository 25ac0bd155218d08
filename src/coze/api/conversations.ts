import type { Abortable } from "../../core/ports.ts";
import { checkMetaData, type MetaData } from "../chat-request.ts";
import type { CozeHttp } from "../http.ts";
import { createdSchema } from "../wire.ts";

/** A conversation to be created (coze-api.md §9.1). */
export interface NewConversation {
  /** Without it the conversation cannot be listed. */
  readonly botId: string;
  /** At most 100 characters. */
  readonly name?: string;
  readonly metaData?: MetaData;
}

/** Conversations: long-lived threads of messages (coze-api.md §9.1). Every method throws {@link CozeError}. */
export class ConversationsApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** @returns The conversation's id. */
  async create({ botId, name, metaData }: NewConversation, { signal }: Abortable): Promise<string> {
    if (metaData !== undefined) checkMetaData(metaData);
    const json = { bot_id: botId, name, meta_data: metaData };
    const call = { method: "POST", path: "/v1/conversation/create", json, signal } as const;
    return (await this.#http.call(call, createdSchema)).id;
  }
}
