/**
 * Conversations on the wire.
 *
 * @see docs/reference/coze-api.md §3.7, §9.1
 */
import { z } from "zod";
import { anyText, hasMore, id, listOf, metaData, ownId, time } from "./values.ts";

/** A conversation (§3.7). */
export interface WireConversation {
  readonly id: string;
  readonly name: string;
  readonly meta_data: Readonly<Record<string, string>>;
  readonly creator_id: string | undefined;
  readonly connector_id: string | undefined;
  readonly last_section_id: string | undefined;
  readonly created_at: number | undefined;
  readonly updated_at: number | undefined;
}

export const conversationSchema: z.ZodType<WireConversation> = z.object({
  id: ownId,
  name: anyText,
  meta_data: metaData,
  creator_id: id,
  connector_id: id,
  last_section_id: id,
  created_at: time,
  updated_at: time,
});

/** A page of conversations (§9.1). */
export interface WireConversationPage {
  readonly conversations: readonly WireConversation[];
  readonly has_more: boolean;
}

export const conversationPageSchema: z.ZodType<WireConversationPage> = z.object({
  conversations: listOf(conversationSchema),
  has_more: hasMore,
});

/** The section that a cleared conversation goes on in (§9.1). */
export const clearedSchema: z.ZodType<{ readonly id: string }> = z.object({ id: ownId });
