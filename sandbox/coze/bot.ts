import { longText, STORY, STORY_ZH } from "./stories.ts";

/** A file as the bot sees it. */
interface BotFile {
  readonly name: string;
  readonly bytes: number;
  readonly kind: "image" | "file" | "audio";
}

export interface BotMemory {
  readonly role: "user" | "assistant";
  readonly text: string;
}

/** What the scripted bot is asked. */
export interface BotQuestion {
  readonly text: string;
  readonly files?: readonly BotFile[];
  /** What this asker said and heard before in this conversation, oldest first. */
  readonly memory?: readonly BotMemory[];
}

/** How fast the bot writes; all in ms at speed 1. */
export interface BotPace {
  /** Until the first piece of the answer. */
  readonly firstDeltaMs: number;
  /** Between two pieces. */
  readonly deltaMs: number;
  /** Characters per piece. */
  readonly charactersPerDelta: number;
  /** How long a plugin works. */
  readonly toolMs: number;
  /** 2 is twice as fast. */
  readonly speed: number;
}

export const DEFAULT_PACE: BotPace = {
  firstDeltaMs: 400,
  deltaMs: 50,
  charactersPerDelta: 6,
  toolMs: 1_500,
  speed: 1,
};

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: string;
}

/** One thing the bot does. `answer` numbers its answers, several can grow in turn. */
export type BotStep =
  | { readonly do: "pause"; readonly ms: number }
  | {
      readonly do: "delta";
      readonly answer: number;
      readonly text: string;
      readonly reasoning?: string;
      /** Written whole, this long after the chat began, in ms; without it the pace decides when and how. */
      readonly atMs?: number;
    }
  | { readonly do: "answer"; readonly answer: number; readonly text: string }
  | { readonly do: "message"; readonly type: string; readonly content: string }
  /** The connection is reset; the chat goes on. */
  | { readonly do: "cut" }
  /** Nothing more is sent, and the chat never ends by itself. */
  | { readonly do: "stall" }
  | { readonly do: "fail"; readonly code: number; readonly msg: string }
  | { readonly do: "require"; readonly calls: readonly ToolCall[] }
  /** A workflow asks back: the stream ends without a chat event (coze-api.md §6.5). */
  | { readonly do: "ask-back" };

/** Refused before a chat starts, or the steps of one; a chat that says nothing else completes at their end. */
export type BotPlan =
  | { readonly refuse: { readonly code: number; readonly msg: string } }
  | { readonly steps: readonly BotStep[] };

type Script = (match: RegExpExecArray, question: BotQuestion) => BotPlan | string;

/** What the last line of a question makes the bot do; first match decides. */
const SCRIPTS: readonly (readonly [RegExp, Script])[] = [
  [/^fail (\d+)$/i, ([, code]) => ({ refuse: { code: Number(code), msg: "refused on request" } })],
  [/^chat fail (\d+)$/i, ([, code]) => steps({ do: "fail", code: Number(code), msg: "failed on request" })],
  [/^late fail(?: (\d+))?$/i, ([, code]) => steps(...write(HALF), fail(Number(code ?? 5000)))],
  [
    /^break$/i,
    () => steps(...write(HALF), { do: "cut" }, ...write(REST, 0), whole(HALF + REST), ...finish()),
  ],
  [/^silence$/i, () => steps(...write(HALF), { do: "stall" })],
  [/^empty$/i, () => steps(whole(""), ...finish())],
  [
    /^twice$/i,
    () => steps(...write(FIRST), whole(FIRST), ...write(SECOND, 1), whole(SECOND, 1), ...finish()),
  ],
  [/^think$/i, () => steps(...think(), ...write(FIRST), whole(FIRST), ...finish())],
  [/^long (\d+)$/i, ([, length]) => longText(Math.min(Number(length), MAX_LONG))],
  [/^local plugin(?: twice)?$/i, () => requireTools([STOCK_CALL])],
  [/^local plugins$/i, () => requireTools([STOCK_CALL, PRICE_CALL])],
  [/^ask back$/i, () => steps(...write(BACK), whole(BACK), ...interrupt(), { do: "ask-back" })],
  [/故事/, () => STORY_ZH],
  [/\bstory\b/i, () => STORY],
  [/what(?:'s| is) my name|who am i\b/i, (_, question) => recall(question)],
  [/我叫什么|我的名字是什么/, (_, question) => recallZh(question)],
  [/my name is ([\p{L}\p{N}_-]+)/iu, ([, name]) => `Nice to meet you, ${name}.`],
  [/我(?:的名字)?叫([\p{Script=Han}\p{L}]{1,12})/u, ([, name]) => `很高兴认识你，${name}。`],
  [/\b(?:plugin|weather)\b/i, () => usePlugin(WEATHER)],
  [/插件|天气/, () => usePlugin(WEATHER_ZH)],
];

const MAX_LONG = 200_000;
const HALF = "This answer starts well, and then ";
const REST = "it is whole after all.";
const FIRST = "This is the **first** answer.";
const SECOND = "And this is the *second* one.";
const BACK = "Which city do you mean?";
const WEATHER = "It is 21 °C and sunny, says the weather plugin.";
const WEATHER_ZH = "天气插件说：晴，21 °C。";
const STOCK_CALL: ToolCall = { id: "QUJDREVGR0g=", name: "get_stock", input: '{"sku":"A1"}' };

const PRICE_CALL: ToolCall = { id: "UFJJQ0U9PQ==", name: "get_price", input: '{"sku":"A1"}' };

/** What a tool of the asker's gave back. */
export interface BotToolOutput {
  readonly name: string;
  readonly output: string;
}

/** How the bot goes on when its local tools have answered, for the `round`th time (coze-api.md §6.4). */
export function planResume({ text }: BotQuestion, round: number, outputs: readonly BotToolOutput[]): BotPlan {
  const heard = outputs.map(
    ({ output }): BotStep => ({ do: "message", type: "tool_response", content: output }),
  );
  if (round === 1 && /^local plugin twice$/i.test(lastLine(text))) {
    return steps(...heard, ...requireSteps([PRICE_CALL]));
  }
  const answer = outputs.map(({ name, output }) => `${name} says ${output}.`).join(" ");
  return steps(...heard, ...write(answer), whole(answer), ...finish());
}

/** The bot's whole plan for a question. Pure: the same question gives the same plan. */
export function planAnswer(question: BotQuestion): BotPlan {
  if ((question.files ?? []).length > 0) return writeWhole(describe(question));
  const line = lastLine(question.text);
  for (const [pattern, script] of SCRIPTS) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const plan = script(match, question);
    return typeof plan === "string" ? writeWhole(plan, isChinese(line)) : plan;
  }
  return writeWhole(echo(question.text), isChinese(line));
}

/** All answers the bot gives to a question, as the asker should see them; blank line between several. */
export function expectedAnswer(question: BotQuestion): string {
  const plan = planAnswer(question);
  if ("refuse" in plan) return "";
  return plan.steps
    .flatMap((step) => (step.do === "answer" ? [step.text] : []))
    .filter((text) => text !== "")
    .join("\n\n");
}

function echo(text: string): string {
  return isChinese(text) ? `你说：${text}` : `You said: ${text}`;
}

function describe({ text, files = [] }: BotQuestion): string {
  const chinese = isChinese(text);
  const lines = files.map((file) => {
    const [en, zh] = nameKind(file);
    return chinese
      ? `- **${file.name}**：${zh}，${file.bytes} 字节`
      : `- **${file.name}**: ${en}, ${file.bytes} bytes`;
  });
  const head = chinese ? `我收到了 ${files.length} 个文件：` : `I received ${count(files.length, "file")}:`;
  return `${head}\n\n${lines.join("\n")}`;
}

function nameKind(file: BotFile): readonly [en: string, zh: string] {
  if (file.kind === "image") return ["an image", "图片"];
  const extension = file.name.split(".").at(-1)?.toLowerCase() ?? "";
  if (extension === "pdf") return ["a PDF document", "PDF 文档"];
  if (/^(docx?|xlsx?|pptx?|numbers)$/.test(extension)) return ["an office document", "办公文档"];
  if (/^(csv|c|cpp|py|java)$/.test(extension)) return ["a text file", "文本文件"];
  return ["a file", "文件"];
}

function recall(question: BotQuestion): string {
  const name = knownName(question);
  return name === undefined ? "You have not told me your name yet." : `Your name is ${name}.`;
}

function recallZh(question: BotQuestion): string {
  const name = knownName(question);
  return name === undefined ? "你还没有告诉我你的名字。" : `你叫${name}。`;
}

function knownName({ memory = [] }: BotQuestion): string | undefined {
  return memory
    .filter(({ role }) => role === "user")
    .map(({ text }) => nameIn(text))
    .findLast((name) => name !== undefined);
}

function nameIn(text: string): string | undefined {
  if (/我叫什么|我的名字是什么/.test(text)) return undefined;
  const match = /my name is ([\p{L}\p{N}_-]+)/iu.exec(text) ?? /我(?:的名字)?叫([\p{L}]{1,12})/u.exec(text);
  return match?.[1];
}

function writeWhole(text: string, chinese: boolean = isChinese(text)): BotPlan {
  return steps(...write(text), whole(text), ...finish(chinese));
}

function usePlugin(text: string): BotPlan {
  const call = { name: "weather", arguments: { city: "Grey Point" }, plugin_name: "weather", plugin_type: 1 };
  return steps(
    { do: "message", type: "function_call", content: JSON.stringify(call) },
    { do: "pause", ms: -1 },
    { do: "message", type: "tool_response", content: '{"temperature":21,"sky":"sunny"}' },
    ...write(text),
    whole(text),
    ...finish(isChinese(text)),
  );
}

function think(): BotStep[] {
  return ["They want ", "me to think."].map((reasoning) => ({ do: "delta", answer: 0, text: "", reasoning }));
}

/** Marks where the text has to be cut into deltas; the pace decides how. */
function write(text: string, answer = 0): BotStep[] {
  return [{ do: "delta", answer, text }];
}

function whole(text: string, answer = 0): BotStep {
  return { do: "answer", answer, text };
}

function fail(code: number): BotStep {
  return { do: "fail", code, msg: "failed on request" };
}

function finish(chinese = false): BotStep[] {
  const suggestions = chinese
    ? ["给我讲个故事", "今天天气怎么样？"]
    : ["Tell me a story", "How is the weather?"];
  return [
    { do: "message", type: "verbose", content: finishPacket(0) },
    ...suggestions.map((content): BotStep => ({ do: "message", type: "follow_up", content })),
  ];
}

function requireTools(calls: readonly ToolCall[]): BotPlan {
  return steps(...requireSteps(calls));
}

/** A local plugin's calls, as recorded: `plugin_type` 6 (coze-api.md §6.4). */
function requireSteps(calls: readonly ToolCall[]): BotStep[] {
  const said = calls.map(({ name, input }): BotStep => {
    const given: unknown = JSON.parse(input);
    const content = JSON.stringify({ name, arguments: given, plugin_name: name, plugin_type: 6 });
    return { do: "message", type: "function_call", content };
  });
  return [...said, ...interrupt(), { do: "require", calls }];
}

function interrupt(): BotStep[] {
  return [
    { do: "message", type: "verbose", content: verbose("interrupt", "") },
    { do: "message", type: "verbose", content: finishPacket(1) },
  ];
}

function finishPacket(reason: number): string {
  return verbose("generate_answer_finish", JSON.stringify({ finish_reason: reason, FinData: "" }));
}

function verbose(type: string, data: string): string {
  return JSON.stringify({ msg_type: type, data, from_module: null, from_unit: null });
}

function steps(...list: BotStep[]): BotPlan {
  return { steps: list };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}

function isChinese(text: string): boolean {
  return /\p{Script=Han}/u.test(text);
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`;
}

/**
 * The plan's steps with its deltas cut to pieces and its pauses filled in, all in ms of real time.
 *
 * Pieces are cut between characters, so that a piece is what a model's token would be.
 */
export function paceSteps(plan: readonly BotStep[], pace: BotPace): readonly BotStep[] {
  let first = true;
  return plan.flatMap((step): readonly BotStep[] => {
    if (step.do === "pause") return [{ do: "pause", ms: (step.ms < 0 ? pace.toolMs : step.ms) / pace.speed }];
    if (step.do !== "delta" || step.atMs !== undefined) return [step];
    return cutText(step.text, pace.charactersPerDelta).flatMap((text): readonly BotStep[] => {
      const ms = (first ? pace.firstDeltaMs : pace.deltaMs) / pace.speed;
      first = false;
      return [
        { do: "pause", ms },
        { ...step, text },
      ];
    });
  });
}

function cutText(text: string, size: number): string[] {
  if (text === "") return [""];
  const characters = Array.from(text);
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join(""),
  );
}
