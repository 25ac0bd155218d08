/** The bridge's own client as a reader of `npm run bench:sse`, through its public door. */
import { type Clock, Gates } from "../../src/core/gate.ts";
import type { Log } from "../../src/core/ports.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import { toChatRequest } from "../../src/coze/question.ts";
import { answerOrders } from "./reading.ts";

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
/** More than a crowd asks at once: the gate is not what is measured. */
const CHATS_PER_SECOND = 10_000;

answerOrders((baseUrl) => {
  const gates = new Gates(CLOCK);
  const client = createCozeClient({
    baseUrl,
    tokens: staticToken("bench"),
    log: SILENT,
    gates,
    chatsPerSecond: CHATS_PER_SECOND,
  });
  const request = toChatRequest(
    {
      botId: "7379462189365198898",
      conversationId: "7381473525342978089",
      userId: "bench",
      turnId: "bench",
      text: "Hello",
      files: [],
      context: [],
    },
    client.flavor,
  );
  return async () => {
    let [events, deltas, characters] = [0, 0, 0];
    for await (const event of client.chats.events(request, { signal: new AbortController().signal })) {
      events += 1;
      if (event.type !== "delta") continue;
      deltas += 1;
      characters += event.text.length + event.reasoning.length;
    }
    return { events, deltas, characters };
  };
});
