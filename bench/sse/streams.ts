import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A whole stream as Coze sends it, and what a reader must find in it. */
export interface RecordedStream {
  /** The events' bytes, in order. */
  readonly frames: readonly Buffer[];
  readonly bytes: number;
  readonly deltas: number;
  /** UTF-16 units of all deltas' texts. */
  readonly characters: number;
}

/** `answer`: nothing but a long answer. `tools`: reasoning first, and a tool's result every few hundred deltas. */
export const KINDS = ["answer", "tools"] as const;
export type Kind = (typeof KINDS)[number];

const RECORDING = join(import.meta.dirname, "../../test/fixtures/specs/coze-sse/chat_text_stream_resp.txt");
const DELTA = "conversation.message.delta";
const COMPLETED = "conversation.message.completed";

/** What bots write, in both languages; also characters that JSON writes with an escape. */
const TEXTS = [
  "部署之前，请先确认数据库的备份已经完成；如果还没有，**不要**继续。可以用下面的命令查看状态：\n```sh\nnpm run status\n```\n",
  'The bridge keeps every question on disk before it is acknowledged, so "kill -9" loses none of them.\n\n- first, read the notes\n',
  "总共需要三步 🙂：安装、配置、启动。Each of them takes about a minute, 通常不会更久。\n",
];
/** One to this many characters come in a delta. */
const LONGEST_DELTA = 20;
/** Deltas between two tool calls, and of reasoning before the first word. */
const DELTAS_PER_TOOL = 400;
const REASONING_DELTAS = 200;
const TOOL_RESULT = JSON.stringify({
  content_type: 1,
  response_for_model: JSON.stringify(
    Array.from({ length: 40 }, (_, index) => ({
      title: `搜索结果 ${index}`,
      url: `https://a.example/${index}`,
    })),
  ),
  type_for_model: 1,
});

/** The stream that is `bytes` long or a little more; the same for the same arguments. */
export function makeStream(kind: Kind, bytes: number): RecordedStream {
  const { created, delta, completed, closing } = readRecording();
  const next = random(1);
  const frames = [...created];
  let size = frames.reduce((sum, frame) => sum + frame.length, 0);
  let [deltas, characters, whole] = [0, 0, ""];
  const add = (name: string, changes: object): void => {
    const frame = toFrame(name, { ...(name === DELTA ? delta : completed), ...changes });
    frames.push(frame);
    size += frame.length;
  };
  for (const piece of pieces(next)) {
    if (size >= bytes) break;
    const reasons = kind === "tools" && deltas < REASONING_DELTAS;
    if (kind === "tools" && !reasons && deltas % DELTAS_PER_TOOL === 0) {
      const call = { name: "search", arguments: { query: piece }, plugin_id: 7379462189365199000 };
      add(COMPLETED, { type: "function_call", content: JSON.stringify(call) });
      add(COMPLETED, { type: "tool_response", content: TOOL_RESULT });
    }
    add(DELTA, reasons ? { content: "", reasoning_content: piece } : { content: piece });
    deltas += 1;
    characters += piece.length;
    if (!reasons) whole += piece;
  }
  add(COMPLETED, { content: whole });
  return { frames: [...frames, ...closing], bytes: size, deltas, characters };
}

function* pieces(next: () => number): Generator<string, never, undefined> {
  for (;;) {
    const text = Array.from(TEXTS[Math.floor(next() * TEXTS.length)] ?? "");
    for (let at = 0; at < text.length; ) {
      const end = at + 1 + Math.floor(next() * LONGEST_DELTA);
      yield text.slice(at, end).join("");
      at = end;
    }
  }
}

/** Numbers in [0, 1), the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The recorded stream, apart: what comes before the first delta and after the answer, and a body of each message. */
function readRecording(): { created: Buffer[]; delta: object; completed: object; closing: Buffer[] } {
  const blocks = readFileSync(RECORDING, "utf8").trim().split("\n\n");
  const body = (name: string): object => {
    const block = blocks.find((text) => text.startsWith(`event:${name}\n`)) ?? "";
    return JSON.parse(block.slice(block.indexOf("data:") + 5)) as object;
  };
  const isMessage = (block: string): boolean => block.startsWith("event:conversation.message.");
  const first = blocks.findIndex(isMessage);
  const last = blocks.findLastIndex(isMessage);
  const toBytes = (block: string): Buffer => Buffer.from(`${block}\n\n`);
  return {
    created: blocks.slice(0, first).map(toBytes),
    delta: body(DELTA),
    completed: body(COMPLETED),
    closing: blocks.slice(last + 1).map(toBytes),
  };
}

function toFrame(name: string, body: object): Buffer {
  return Buffer.from(`event:${name}\ndata:${JSON.stringify(body)}\n\n`);
}
