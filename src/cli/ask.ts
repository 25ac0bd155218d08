import { basename } from "node:path";
import { addAbortSignal } from "node:stream";
import {
  type AnswerEvent,
  type AnswerState,
  answerMarkdown,
  currentTool,
  EMPTY_ANSWER,
  reduceAnswer,
} from "../core/answer-state.ts";
import { CozeError } from "../core/errors.ts";
import { toPlainLine } from "../core/plain-line.ts";
import type { BroughtFile } from "../core/ports.ts";
import type { ChatRequest } from "../coze/chat-request.ts";
import { toContent } from "../coze/question.ts";
import { followChat, toAnswerEvents } from "../coze/recovery.ts";
import type { ChatIds } from "../coze/stored.ts";
import { CommandError } from "./command-error.ts";
import { type CozeTools, demandBot } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { localFile } from "./local-file.ts";
import type { Terminal } from "./terminal.ts";

/** What `coze-bridge ask` is asked to do. */
export interface AskCommand {
  readonly act: "ask";
  /** `undefined` or `-`: what stdin holds. */
  readonly text: string | undefined;
  readonly files: readonly string[];
  /** `stream` also into a pipe, `block` without a stream at all; by default whatever suits the output. */
  readonly mode: "stream" | "block" | undefined;
  readonly bot: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string;
  readonly json: boolean;
}

/** How long an answer may take, in ms; plugins and workflows may take ten minutes (coze-api.md §13.2). */
const ANSWER_MS = 15 * 60_000;
/** How long Coze may take to hear that nobody wants the answer any more, in ms. */
const CANCEL_MS = 5_000;
/** Longest question taken from stdin, in bytes; more than any model reads. */
const MAX_STDIN_BYTES = 1024 * 1024;

/** Asks the bot, and writes its answer: as it grows for somebody who looks on, whole into a pipe. */
export async function ask(command: AskCommand, tools: CozeTools): Promise<ExitCode> {
  const botId = demandBot(command.bot, tools);
  const text = await readQuestion(command.text, tools);
  if (text.trim() === "" && command.files.length === 0) {
    throw new CommandError(EXIT.usage, "There is no question: it is empty.");
  }
  const files = await bringFiles(command.files, tools);
  const request: ChatRequest = {
    botId,
    userId: command.user,
    conversationId: command.conversation,
    messages: [{ role: "user", content: toContent({ text, files }) }],
  };
  if (command.mode !== "block") return report(await stream(request, command, tools), command, tools);
  const state = await block(request, tools);
  const answer = answerMarkdown(state);
  if (!command.json && answer !== "") tools.terminal.write(`${answer}\n`);
  return report(state, command, tools);
}

async function readQuestion(text: string | undefined, { stdin, signal }: CozeTools): Promise<string> {
  if (text !== undefined && text !== "-") return text;
  if (stdin.isTTY === true) throw new CommandError(EXIT.usage, 'What is the question? coze-bridge ask "…"');
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A stream without an encoding yields buffers.
  for await (const piece of addAbortSignal(signal, stdin) as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_STDIN_BYTES) {
      throw new CommandError(EXIT.usage, `A question has at most ${MAX_STDIN_BYTES} bytes; use --file.`);
    }
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString("utf8").trim();
}

async function bringFiles(
  paths: readonly string[],
  { terminal, source, signal }: CozeTools,
): Promise<readonly BroughtFile[]> {
  const files: BroughtFile[] = [];
  for (const path of paths) {
    terminal.status(`uploading ${basename(path)} …`);
    files.push(await source.upload(await localFile(path), { name: basename(path), signal }));
  }
  terminal.status();
  return files;
}

/** Waits for the whole answer, without a stream. */
async function block(request: ChatRequest, { coze, signal, terminal }: CozeTools): Promise<AnswerState> {
  terminal.status("waiting for the answer …");
  const result = await coze.chats.ask(request, { signal, timeoutMs: ANSWER_MS });
  return toAnswerEvents(result).reduce(reduceAnswer, EMPTY_ANSWER);
}

/** Reads the answer as it is written; what breaks on the way is looked up, as the bridge does. */
async function stream(request: ChatRequest, command: AskCommand, tools: CozeTools): Promise<AnswerState> {
  const { coze, signal, terminal } = tools;
  const view = new AnswerView(command, terminal);
  terminal.status("waiting for the answer …");
  try {
    await view.read(coze.chats.stream(request, { signal }));
    await view.addUsage(tools);
  } catch (error) {
    const chat = chatOf(view.state);
    if (signal.aborted && chat !== undefined) await cancel(chat, tools);
    if (signal.aborted || chat === undefined || !isOpen(error)) throw error;
    terminal.say("The connection broke; the answer is looked up at Coze.");
    await view.read(followChat(coze.chats, chat, { signal, timeoutMs: ANSWER_MS }));
  } finally {
    view.close();
  }
  return view.state;
}

/** The chat may go on at Coze, or have ended there. */
function isOpen(error: unknown): boolean {
  return error instanceof CozeError && error.outcome === "unknown" && error.cozeCode === undefined;
}

function chatOf({ chatId, conversationId }: AnswerState): ChatIds | undefined {
  return chatId === undefined || conversationId === undefined ? undefined : { chatId, conversationId };
}

/** Whoever presses Ctrl-C wants no more of it, and shall not pay for the rest either. */
async function cancel(chat: ChatIds, { coze, terminal }: CozeTools): Promise<void> {
  try {
    await coze.chats.cancel(chat, { signal: AbortSignal.timeout(CANCEL_MS) });
    terminal.say("Stopped; the chat is cancelled at Coze.");
  } catch {
    terminal.say("Stopped; Coze could not be told and may go on with the answer.");
  }
}

/** An answer on its way to the output. */
class AnswerView {
  state: AnswerState = EMPTY_ANSWER;
  readonly #live: boolean;
  readonly #json: boolean;
  readonly #terminal: Terminal;
  #written = "";

  constructor({ mode, json }: AskCommand, terminal: Terminal) {
    this.#live = mode === "stream" || (terminal.interactive && !json);
    this.#json = json;
    this.#terminal = terminal;
  }

  async read(events: AsyncIterable<AnswerEvent>): Promise<void> {
    for await (const event of events) {
      this.state = reduceAnswer(this.state, event);
      if (this.#live) this.#show(event);
    }
  }

  /** What the answer cost, where only a look at its chat tells. */
  async addUsage({ coze, signal }: CozeTools): Promise<void> {
    const chat = chatOf(this.state);
    if (coze.flavor.usage === "event" || this.state.usage !== undefined || chat === undefined) return;
    // The answer stands already: without its cost it is no failure.
    const stored = await coze.chats.retrieve(chat, { signal }).catch(() => undefined);
    if (stored?.usage !== undefined) this.state = { ...this.state, usage: stored.usage };
  }

  /** Ends the line that the answer stands in; what was not written live is written now. */
  close(): void {
    if (this.#json) return;
    const text = answerMarkdown(this.state);
    if (!text.startsWith(this.#written)) {
      // What is on paper stays there; the whole answer follows.
      this.#terminal.write("\n");
      this.#terminal.say("Coze changed what it had written; this is the whole answer:");
      this.#written = "";
    }
    this.#terminal.write(text.slice(this.#written.length));
    if (text !== "" && !text.endsWith("\n")) this.#terminal.write("\n");
  }

  #show(event: AnswerEvent): void {
    if (this.#json) {
      this.#terminal.write(`${JSON.stringify(event)}\n`);
      return;
    }
    const text = answerMarkdown(this.state);
    if (text.length > this.#written.length && text.startsWith(this.#written)) {
      this.#terminal.write(text.slice(this.#written.length));
      this.#written = text;
    }
    const tool = currentTool(this.state);
    if (this.#written === "") this.#terminal.status(tool === undefined ? "writing …" : `using ${tool} …`);
  }
}

/** What follows an answer: what it cost, how to go on, and what kept it from being one. */
function report(state: AnswerState, { json }: AskCommand, { terminal }: CozeTools): ExitCode {
  if (json) terminal.write(`${JSON.stringify(toJson(state))}\n`);
  else for (const line of closingLines(state)) terminal.say(toPlainLine(line));
  return state.status === "completed" && answerMarkdown(state) !== "" ? EXIT.ok : EXIT.refused;
}

function* closingLines(state: AnswerState): Generator<string, void, undefined> {
  const { usage, followUps, pending, conversationId = "", status, cut } = state;
  for (const suggestion of followUps) yield `  ? ${suggestion}`;
  for (const { name, input } of pending) yield `The bot waits for a tool of yours: ${name} ${input}`;
  if (cut) yield "The answer was too long; its end is missing.";
  if (status === "canceled") yield "The chat was cancelled at Coze.";
  else if (answerMarkdown(state) === "" && pending.length === 0)
    yield "The bot said nothing that can be shown here.";
  if (usage !== undefined) yield `${usage.total} tokens: ${usage.input} in, ${usage.output} out`;
  yield `go on with --conversation ${conversationId}`;
}

function toJson(state: AnswerState): object {
  const { status, conversationId, chatId, usage, followUps, pending, tools, cut } = state;
  const answer = answerMarkdown(state);
  return {
    answer,
    status,
    conversationId,
    chatId,
    usage,
    followUps,
    pending,
    tools: tools.map(({ name }) => name),
    cut,
  };
}
