import type { NumberedPage } from "./paging.ts";
import type { WireConversation, WireConversationPage } from "./wire/conversations.ts";

/** A conversation as Coze stores it (coze-api.md §3.7). */
export interface StoredConversation {
  readonly conversationId: string;
  readonly name: string;
  readonly metaData: Readonly<Record<string, string>>;
  /** The account whose token created it. */
  readonly creatorId: string | undefined;
  /** Where it was created: `1024` for the API, `999` for the Chat SDK. */
  readonly connectorId: string | undefined;
  /** Messages of this section are the context of the next chat. */
  readonly sectionId: string | undefined;
  /** Unix seconds; `undefined` when it was not told. */
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
}

export function toStoredConversation(conversation: WireConversation): StoredConversation {
  return {
    conversationId: conversation.id,
    name: conversation.name,
    metaData: conversation.meta_data,
    creatorId: conversation.creator_id,
    connectorId: conversation.connector_id,
    sectionId: conversation.last_section_id,
    createdAt: conversation.created_at,
    updatedAt: conversation.updated_at,
  };
}

export function toConversationPage(page: WireConversationPage): NumberedPage<StoredConversation> {
  return { items: page.conversations.map(toStoredConversation), hasMore: page.has_more };
}
