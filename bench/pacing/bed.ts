import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { lettersOf } from "../../sandbox/same-text.ts";
import { type Services, startServices } from "../../sandbox/services.ts";
import type { Exchange, PlatformStandIn } from "../../sandbox/stand-in.ts";
import type { TimedLetters } from "./optimum.ts";
import { LOOP_PATH, type Usage } from "./probe.ts";
import { CHATS_PER_SECOND, type Program, type Style } from "./programs.ts";
import { type Arrived, type Growth, lettersShown, type Screen } from "./staleness.ts";
import { type Trace, textOf, traceNamed } from "./traces.ts";

/** Time to a platform and the same back, in ms (docs/reference/pacing.md §3). */
export const ONE_WAY_MS = 40;

/** Text that has not come by then is charged as if it never had (staleness.ts), so nobody waits longer, in ms. */
export const QUIET_MS = 10_000;

export interface BedOptions {
  readonly program: Program;
  readonly platform: "discord" | "slack";
  /** An answer that is not whole is over when nothing more happens to it for this long, in ms; default {@link QUIET_MS}. */
  readonly quietMs?: number;
}

/** A message that mentions the bot, or its slash command. */
export type AskedBy = "message" | "command";

/** A question and all that came of it. */
export interface Asking {
  readonly trace: Trace;
  readonly growth: Growth;
  /** Requests to the platform that name its place, and how many of them were refused for being too many. */
  readonly calls: number;
  readonly refused: number;
}

interface Running {
  readonly trace: Trace;
  readonly standIn: PlatformStandIn;
  readonly place: string;
  /** Where the answer has been seen: the place, and the thread that was opened for it. */
  readonly seenIn: Set<string>;
  /** Id of the question; empty where the place holds no other one. */
  readonly question: string;
  readonly askedAt: number;
  cozeAskedAt: number;
  readonly deltaTimes: number[];
  readonly screens: { at: number; text: string }[];
  calls: number;
  refused: number;
  readonly done: PromiseWithResolvers<void>;
  settling: NodeJS.Timeout | undefined;
}

/** How long an answer may take longer than its trace before it is given up, in ms. */
const PATIENCE_MS = 90_000;
/** A whole answer that has not changed for this long is over, in ms. */
const SETTLED_MS = 1_500;

/**
 * One program, as a process of its own so that what it uses is its own, and the stand-ins in this one: what they do and
 * what they record have one clock.
 */
export class Bed implements AsyncDisposable {
  readonly services: Services;
  readonly program: Program;
  readonly #quietMs: number;
  readonly #socket: string;
  readonly #log: readonly string[];
  readonly #stack: AsyncDisposableStack;
  readonly #running = new Map<string, Running>();
  readonly #byPlace = new Map<string, Running[]>();
  readonly #byChat = new Map<string, Running>();
  #asked = 0;
  #places = 0;
  #calls = 0;
  #refused = 0;

  private constructor(
    services: Services,
    options: BedOptions & { socket: string; log: readonly string[]; stack: AsyncDisposableStack },
  ) {
    this.services = services;
    this.program = options.program;
    this.#quietMs = options.quietMs ?? QUIET_MS;
    this.#socket = options.socket;
    this.#log = options.log;
    this.#stack = options.stack;
    const { coze, discord, slack } = services;
    coze.service.script(({ text }) => {
      const running = this.#running.get(/\bplay (\d+)/.exec(text)?.[1] ?? "");
      if (running === undefined) throw new Error(`nobody asked: ${text}`);
      running.cozeAskedAt = performance.now();
      const { deltas } = running.trace;
      const whole = { do: "answer", answer: 0, text: textOf(running.trace) } as const;
      return { steps: [...deltas.map((delta) => ({ do: "delta", answer: 0, ...delta }) as const), whole] };
    });
    coze.traffic.onExchange((exchange) => this.#onCoze(exchange));
    for (const standIn of [discord, slack]) {
      standIn.traffic.onExchange((exchange) => this.#onCall(exchange));
      standIn.onChange((place) => this.#onChange(place));
    }
  }

  static async open(options: BedOptions): Promise<Bed> {
    const { program, platform } = options;
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "coze-bridge-bench-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const services = stack.use(
      await startServices({
        env: {},
        coze: {
          switches: { limits: { chatPerSecond: CHATS_PER_SECOND, uploadPerSecond: 10, pollPerSecond: 1 } },
        },
        discord: { ...program.discord, oneWayMs: ONE_WAY_MS },
        slack: { oneWayMs: ONE_WAY_MS },
      }),
    );
    const socket = join(folder, "probe");
    const log: string[] = [];
    const onLog = (text: string): void => void log.push(text);
    stack.use(await program.start({ platform, services, folder, socket, onLog }));
    return new Bed(services, { ...options, socket, log, stack: stack.move() });
  }

  /** Requests to the platform so far, and how many of them were refused for being too many. */
  get calls(): { readonly all: number; readonly refused: number } {
    return { all: this.#calls, refused: this.#refused };
  }

  /** What the program warned of so far, each message as often as it came. */
  get warnings(): readonly string[] {
    const messages = this.#log.join("").matchAll(this.program.logged);
    return messages.map(([, message]) => message ?? "").toArray();
  }

  /** @param loop - Whether timers are watched from now on. */
  async usage({ loop }: { loop: boolean } = { loop: false }): Promise<Usage> {
    const { promise, resolve, reject } = Promise.withResolvers<Usage>();
    request({ socketPath: this.#socket, path: loop ? LOOP_PATH : "/", agent: false }, (response) => {
      void json(response).then((value) => resolve(value as Usage), reject);
    })
      .once("error", reject)
      .end();
    return promise;
  }

  /** Asks in a place that nobody has used before, and resolves when the answer is over. */
  ask(style: Style, trace: string): Promise<Asking> {
    return this.askIn(style, trace, this.newPlace(style));
  }

  /** A channel, or in Slack a DM where the program shows this style there. */
  newPlace(style: Style): string {
    const { discord, slack } = this.services;
    this.#places += 1;
    const name = `place-${this.#places}`;
    if (style === "Discord channel") return discord.addChannel(name);
    const { id } = slack.person(name);
    const { workspace } = slack;
    return this.program.slackPlaces[style] === "dm"
      ? workspace.dmWith(id).id
      : workspace.addChannel(name, "channel", [workspace.bot.userId, id]).id;
  }

  /** @param by - How somebody asks: in Slack always by a message. */
  async askIn(style: Style, trace: string, place: string, by: AskedBy = "message"): Promise<Asking> {
    const { discord, slack } = this.services;
    this.#asked += 1;
    const tag = String(this.#asked);
    const standIn = style === "Discord channel" ? discord : slack;
    const text = `play ${tag}`;
    const askedAt = performance.now();
    const running = this.#begin(tag, { trace: traceNamed(trace), standIn, place, askedAt });
    const asker = discord.person(`asker-${tag}`);
    let question = "";
    if (style !== "Discord channel") question = this.#sayInSlack(place, text);
    else if (by === "command") question = asker.slash(place, { question: text });
    else question = asker.say(place, `@Coze ${text}`);
    Object.assign(running, { question });
    // A thread that is opened for a question has its id (docs/reference/discord.md §6.1).
    this.#byPlace.set(question, [running]);
    await running.done.promise;
    this.#running.delete(tag);
    return toAsking(running);
  }

  #sayInSlack(place: string, text: string): string {
    const { slack } = this.services;
    const { kind, members = new Set<string>() } = slack.workspace.channels.get(place) ?? {};
    const asker = [...members].find((id) => id !== slack.workspace.bot.userId) ?? "";
    const person = slack.person(slack.workspace.users.get(asker)?.name ?? "");
    return kind === "im" ? person.dm(text).ts : person.say(place, `@Coze ${text}`).ts;
  }

  #begin(tag: string, facts: Pick<Running, "trace" | "standIn" | "place" | "askedAt">): Running {
    const running: Running = {
      ...facts,
      seenIn: new Set(),
      question: "",
      cozeAskedAt: Number.NaN,
      deltaTimes: [],
      screens: [],
      calls: 0,
      refused: 0,
      done: Promise.withResolvers<void>(),
      settling: undefined,
    };
    this.#running.set(tag, running);
    this.#byPlace.set(facts.place, [...(this.#byPlace.get(facts.place) ?? []), running]);
    const late = (facts.trace.deltas.at(-1)?.atMs ?? 0) + PATIENCE_MS;
    const timer = setTimeout(() => running.done.resolve(), late);
    void running.done.promise.then(() => {
      clearTimeout(timer);
      clearTimeout(running.settling);
    });
    return running;
  }

  #onCoze({ kind, name, response }: Exchange): void {
    if (kind !== "sent") return;
    const now = performance.now();
    if (name === "conversation.message.delta") {
      const { chat_id: chatId } = JSON.parse(String(response)) as { chat_id: string };
      this.#byChat.get(chatId)?.deltaTimes.push(now);
    } else if (name === "conversation.chat.created") {
      const chat = JSON.parse(String(response)) as { id: string; conversation_id: string };
      const running = this.#runningOf(chat);
      if (running !== undefined) this.#byChat.set(chat.id, running);
    }
  }

  #runningOf(chat: { id: string; conversation_id: string }): Running | undefined {
    const messages = this.services.coze.service.conversations.get(chat.conversation_id)?.messages ?? [];
    const question = messages.find(({ chatId, role }) => chatId === chat.id && role === "user");
    return this.#running.get(/\bplay (\d+)/.exec(question?.content ?? "")?.[1] ?? "");
  }

  #onCall({ kind, name, request: sent, status }: Exchange): void {
    if (kind !== "http") return;
    this.#calls += 1;
    if (status === 429) this.#refused += 1;
    // The question says more than the channel, which may hold several.
    const places = name.match(/\d{17,20}/g)?.toReversed() ?? [channelOf(sent) ?? ""];
    const running = places
      .map((place) => this.#byPlace.get(place)?.at(-1))
      .find((each) => each !== undefined);
    if (running === undefined) return;
    running.calls += 1;
    if (status === 429) running.refused += 1;
    this.#touch(running);
  }

  #onChange(place: string): void {
    for (const running of this.#byPlace.get(place) ?? []) {
      running.seenIn.add(place);
      const text = screenOf(running);
      if (text.trim() === "" || text === running.screens.at(-1)?.text) continue;
      running.screens.push({ at: performance.now(), text });
      this.#touch(running);
    }
  }

  /** Something happened to an answer: once Coze has written it all, it is over when nothing does any more. */
  #touch(running: Running): void {
    const { trace, cozeAskedAt, done } = running;
    const left = cozeAskedAt + (trace.deltas.at(-1)?.atMs ?? 0) - performance.now();
    if (Number.isNaN(left)) return;
    clearTimeout(running.settling);
    running.settling = setTimeout(() => {
      if (this.#isComplete(running)) done.resolve();
      else running.settling = setTimeout(() => done.resolve(), this.#quietMs - SETTLED_MS);
    }, Math.max(0, left) + SETTLED_MS);
  }

  #isComplete(running: Running): boolean {
    const messages = [...running.seenIn].flatMap((place) => running.standIn.view(place).messages);
    return isWhole(running) && !messages.some(({ bot, unfinished }) => bot && unfinished);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Slack's methods name the channel in one of two ways. */
function channelOf(sent: unknown): string | undefined {
  const { channel, channel_id: channelId } = (sent ?? {}) as { channel?: unknown; channel_id?: unknown };
  const named = channel ?? channelId;
  return typeof named === "string" ? named : undefined;
}

/** What the bot's messages of this answer show: those that reply to the question, and what stands in a place of its own. */
function screenOf({ standIn, seenIn, question }: Running): string {
  const own = [...seenIn]
    .flatMap((place) => standIn.view(place).messages)
    .filter(({ bot, parent }) => bot && (parent === undefined || parent === question));
  return own.map(({ text }) => text).join("\n");
}

function isWhole({ trace, screens }: Running): boolean {
  const answer = lettersOf(textOf(trace));
  return lettersShown(lettersOf(screens.at(-1)?.text ?? ""), answer) === answer.length;
}

function toAsking(running: Running): Asking {
  const { trace, askedAt, cozeAskedAt, calls, refused } = running;
  const screens: Screen[] = running.screens.map(({ at, text }) => ({ at, letters: lettersOf(text) }));
  const letters = lettersPerDelta(trace);
  const arrived: Arrived[] = running.deltaTimes.map((at, index) => ({ at, letters: letters[index] ?? 0 }));
  const answer = lettersOf(textOf(trace));
  return { trace, growth: { answer, askedAt, cozeAskedAt, arrived, screens }, calls, refused };
}

/** Letters and digits that each delta brings; a fence line has none. */
export function lettersPerDelta({ deltas }: Trace): number[] {
  let [text, before] = ["", 0];
  return deltas.map((delta) => {
    text += delta.text;
    const count = lettersOf(text).length;
    const more = count - before;
    before = count;
    return more;
  });
}

/** When the letters of a trace come. */
export function timedLetters(trace: Trace): readonly TimedLetters[] {
  const letters = lettersPerDelta(trace);
  return trace.deltas.map(({ atMs }, index) => ({ atMs, letters: letters[index] ?? 0 }));
}

/** What the programs of some beds warned of, with how often; empty when all went well. */
export function complaintsOf(beds: readonly Bed[]): string {
  const counts = Map.groupBy(
    beds.flatMap(({ warnings }) => warnings),
    (message) => message,
  );
  return [...counts].map(([message, all]) => `${all.length} × ${message}`).join(", ");
}
