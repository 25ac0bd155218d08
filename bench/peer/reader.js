// Coze's own client as a reader of `npm run bench:sse`, used as its README has it: `client.chat.stream`, its address
// redirected, nothing else.
import { ChatEventType, CozeAPI, RoleType } from "@coze/api";
import { answerOrders } from "../sse/reading.ts";

answerOrders((baseURL) => {
  const client = new CozeAPI({ token: "bench", baseURL });
  return async () => {
    let [events, deltas, characters] = [0, 0, 0];
    const stream = client.chat.stream({
      bot_id: "7379462189365198898",
      conversation_id: "7381473525342978089",
      user_id: "bench",
      additional_messages: [{ role: RoleType.User, content: "Hello", content_type: "text" }],
    });
    for await (const part of stream) {
      events += 1;
      if (part.event !== ChatEventType.CONVERSATION_MESSAGE_DELTA) continue;
      deltas += 1;
      characters += part.data.content.length + (part.data.reasoning_content?.length ?? 0);
    }
    return { events, deltas, characters };
  };
});
