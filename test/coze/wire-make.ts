import { frameEvents, type PlainEvent } from "../../sandbox/coze/sse-bytes.ts";

export const CHAT = "7391000000000000001";
export const CONVERSATION = "7390000000000000000";
export const ANSWER = "7391000000000000100";

/** A chat event as the service writes it. */
export function chatEvent(status: string, changes: object = {}): PlainEvent {
  return {
    name: `conversation.chat.${status}`,
    data: JSON.stringify({ id: CHAT, conversation_id: CONVERSATION, status, ...changes }),
  };
}

export function delta(content: string | null, changes: object = {}): PlainEvent {
  return messageEvent("delta", content, changes);
}

export function whole(content: string, changes: object = {}): PlainEvent {
  return messageEvent("completed", content, changes);
}

function messageEvent(name: string, content: string | null, changes: object): PlainEvent {
  return {
    name: `conversation.message.${name}`,
    data: JSON.stringify({
      id: ANSWER,
      conversation_id: CONVERSATION,
      chat_id: CHAT,
      role: "assistant",
      type: "answer",
      content,
      content_type: "text",
      ...changes,
    }),
  };
}

export const CREATED: PlainEvent = chatEvent("created");
export const COMPLETED: PlainEvent = chatEvent("completed", {
  usage: { token_count: 31, output_count: 4, input_count: 27 },
});
export const DONE: PlainEvent = { name: "done", data: '"[DONE]"' };

/** The packet that says that all answers are out. */
export function verbose(content: string): PlainEvent {
  return whole(content, { id: "7391000000000000101", type: "verbose" });
}

/** A whole plain answer (coze-api.md §6.1). */
export function plainAnswer(...pieces: string[]): PlainEvent[] {
  return [
    CREATED,
    chatEvent("in_progress"),
    ...pieces.map((piece) => delta(piece)),
    whole(pieces.join("")),
    COMPLETED,
    DONE,
  ];
}

/** The events as one packet in the service's own framing. */
export function packet(...events: PlainEvent[]): Uint8Array {
  return frameEvents(events);
}
