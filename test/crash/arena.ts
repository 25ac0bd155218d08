import { setTimeout as sleep } from "node:timers/promises";
import type { Delivery } from "../../sandbox/slack/delivery.ts";
import { type BridgeUnderTest, openBridge, type TestOptions } from "../e2e/bridge-under-test.ts";
import {
  type Asking,
  answerTo,
  type History,
  isWhole,
  type JudgedTurn,
  questionsIn,
  questionText,
  readWords,
  refusalOf,
  type WordsSeen,
} from "./judge.ts";

/** Where and how somebody asks; each has a reply style of its own. */
export const LANE_KINDS = [
  "discord mention",
  "discord dm",
  "discord command",
  "slack mention",
  "slack dm",
  "slack command",
] as const;

export type LaneKind = (typeof LANE_KINDS)[number];

interface NewFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface Said {
  readonly id: string;
  /** How Slack brings it to the bridge. */
  readonly deliveries: readonly Delivery[];
}

/** A conversation in a place of its own. */
export interface Lane {
  readonly kind: LaneKind;
  readonly name: string;
  readonly place: string;
  /** A command leaves nothing that could be taken back. */
  say(text: string, files?: readonly NewFile[]): Said;
  unsay(id: string): void;
}

export interface AskOptions {
  readonly files?: readonly NewFile[] | undefined;
  /** Characters that the draft has more than the answer. */
  readonly shrinks?: number | undefined;
  /** Taken back once some of the answer is seen. */
  readonly stops?: boolean | undefined;
}

/** How long nothing of what is missing may come before it counts as lost, in ms: longer than any back-off. */
const PATIENCE_MS = 45_000;
/** However much still comes, nobody waits longer than this, in ms. */
const LONGEST_MS = 10 * 60_000;
const POLL_MS = 100;
/** Pieces that an answer comes in at most, and the time between two, in ms: long ones take some edits. */
const PIECES = 60;
const PIECE_MS = 40;
/** Ten minutes of the platforms' limits pass in one. */
const CLOCK_SPEED = 10;

export interface ArenaOptions extends TestOptions {
  readonly runningQuestionListed?: boolean;
}

/** The bridge, people who ask it, and a record that the judge can read. */
export class Arena implements AsyncDisposable {
  readonly bridge: BridgeUnderTest;
  /** How fast the platforms' time runs. */
  readonly clockSpeed: number;
  /** How often the platforms refused a call for being too many. */
  readonly refusals: { discord: number; slack: number } = { discord: 0, slack: 0 };
  readonly #turns: JudgedTurn[] = [];
  readonly #byTag = new Map<number, JudgedTurn>();
  readonly #byLane = new Map<string, JudgedTurn[]>();
  readonly #askings: Asking[] = [];
  readonly #deliveries = new Map<number, readonly Delivery[]>();
  readonly #asked = new Set<number>();
  /** What was last read in a place; forgotten when it changes. */
  readonly #words = new Map<string, WordsSeen>();
  #lanes = 0;

  private constructor(bridge: BridgeUnderTest, clockSpeed: number, options: ArenaOptions) {
    this.bridge = bridge;
    this.clockSpeed = clockSpeed;
    const { coze, discord, slack } = bridge.services;
    for (const platform of [discord, slack]) {
      platform.onChange((place) => void this.#words.delete(place));
      platform.traffic.onExchange(({ service, status }) => {
        if (status === 429 && service !== "coze") this.refusals[service] += 1;
      });
    }
    coze.switches.runningQuestionListed = options.runningQuestionListed ?? true;
    // Each piece is one delta.
    coze.setPace({ firstDeltaMs: PIECE_MS, deltaMs: PIECE_MS, charactersPerDelta: 1_000_000, speed: 1 });
    coze.service.script(({ text }) => {
      this.#onAsked(text);
      const answer = answerTo(text);
      const draft = answer + draftOnly(text);
      const size = Math.max(8, Math.ceil(draft.length / PIECES));
      const pieces = draft.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      return {
        steps: [
          ...pieces.map((piece) => ({ do: "delta", answer: 0, text: piece }) as const),
          { do: "answer", answer: 0, text: answer },
        ],
      };
    });
  }

  static async open(options: ArenaOptions = {}): Promise<Arena> {
    const { clockSpeed = CLOCK_SPEED } = options;
    // Few messages are enough for an answer to end as a file.
    const env = { MAX_REPLY_PARTS: "3", ...options.env };
    return new Arena(await openBridge({ ...options, env, clockSpeed }), clockSpeed, options);
  }

  /** A new conversation: a channel or a person nobody else uses. */
  lane(kind: LaneKind): Lane {
    this.#lanes += 1;
    const name = `${kind} ${this.#lanes}`;
    return kind.startsWith("discord") ? this.#discordLane(kind, name) : this.#slackLane(kind, name);
  }

  #discordLane(kind: LaneKind, name: string): Lane {
    const { discord } = this.bridge.services;
    const slug = name.replaceAll(" ", "-");
    const person = discord.person(slug);
    const place = kind === "discord dm" ? person.dmChannel : discord.addChannel(slug);
    return {
      kind,
      name,
      place,
      say(text, files = []) {
        const say = (): string => {
          if (kind === "discord dm") return person.dm(text, { files });
          if (kind === "discord command") return person.slash(place, { question: text });
          return person.say(place, `@Coze ${text}`, { files });
        };
        return { id: say(), deliveries: [] };
      },
      unsay: (id) => discord.removeMessage(id),
    };
  }

  #slackLane(kind: LaneKind, name: string): Lane {
    const { slack } = this.bridge.services;
    const { workspace } = slack;
    const slug = name.replaceAll(" ", "-");
    const person = slack.person(slug);
    const place =
      kind === "slack dm"
        ? workspace.dmWith(person.id).id
        : workspace.addChannel(slug, "channel", [workspace.bot.userId, person.id]).id;
    let thread: string | undefined;
    return {
      kind,
      name,
      place,
      say(text, files = []) {
        const uploads = files.map((file) => ({
          name: file.name,
          mimetype: "image/png",
          bytes: Buffer.from(file.bytes),
        }));
        if (kind === "slack dm") return toSaid(person.dm(text, { files: uploads }));
        if (kind === "slack command") return toSaid(person.slash(place, text));
        const said = person.say(place, `@Coze ${text}`, {
          files: uploads,
          ...(thread !== undefined && { thread }),
        });
        thread ??= said.ts;
        return toSaid(said);
      },
      unsay: (ts) => void person.unsay(place, ts),
    };
  }

  /** Somebody asks in a lane. */
  ask(lane: Lane, words: number, { files, shrinks, stops = false }: AskOptions = {}): JudgedTurn {
    const tag = this.#turns.length + 1;
    // Each use of a command in Slack begins a thread, so a conversation, of its own.
    const own = lane.kind === "slack command" ? `${lane.name} ${tag}` : lane.name;
    const text = questionText(tag, words) + (shrinks === undefined ? "" : ` shrinks${shrinks}`);
    const { id: question, deliveries } = lane.say(text, files);
    const turn: JudgedTurn = {
      tag,
      lane: own,
      place: lane.place,
      words,
      question,
      ...(stops && { stopped: true }),
    };
    this.#turns.push(turn);
    this.#byTag.set(tag, turn);
    this.#byLane.set(own, [...(this.#byLane.get(own) ?? []), turn]);
    this.#deliveries.set(tag, deliveries);
    if (stops) void this.seen(turn).then((seen) => seen && lane.unsay(question));
    return turn;
  }

  isWhole(turn: JudgedTurn): boolean {
    return isWhole(turn, this.#wordsIn(turn.place));
  }

  isAsked({ tag }: JudgedTurn): boolean {
    return this.#asked.has(tag);
  }

  /** Waits until some of an answer is seen; false when that takes too long. */
  seen(turn: JudgedTurn): Promise<boolean> {
    return this.until(() => this.#wordsIn(turn.place).has(turn.tag));
  }

  /** Waits for something to become true; false when that takes too long. */
  async until(isTrue: () => boolean, patienceMs: number = PATIENCE_MS): Promise<boolean> {
    const end = performance.now() + patienceMs;
    while (!isTrue()) {
      if (performance.now() > end) return false;
      await sleep(POLL_MS / 10);
    }
    return true;
  }

  get turns(): readonly JudgedTurn[] {
    return this.#turns;
  }

  /** What happened to these turns; to all when none are named. */
  history(turns: readonly JudgedTurn[] = this.#turns): History {
    const tags = new Set(turns.map(({ tag }) => tag));
    return {
      turns,
      places: new Map(turns.map(({ place }) => [place, this.view(place)])),
      askings: this.#askings.filter((asking) => asking.tags.some((tag) => tags.has(tag))),
    };
  }

  /** Waits until all are whole, or until nothing of them has come for so long that nothing will. */
  async settle(
    turns: readonly JudgedTurn[] = this.#turns,
    patienceMs: number = PATIENCE_MS,
  ): Promise<boolean> {
    const begun = performance.now();
    let open = turns.filter(({ stopped }) => stopped !== true);
    let [progress, changedAt] = ["", begun];
    for (;;) {
      open = open.filter(
        (turn) => !this.isWhole(turn) && refusalOf(turn, this.view(turn.place)) === undefined,
      );
      const now = performance.now();
      // Only words count: a typing sign may come for ever.
      const words = open.map(({ place, tag }) => this.#wordsIn(place).get(tag)?.numbers.length ?? 0);
      const seen = `${open.length} ${words.reduce((sum, count) => sum + count, 0)}`;
      if (seen !== progress) [progress, changedAt] = [seen, now];
      if (open.length === 0 || now - changedAt > patienceMs || now - begun > LONGEST_MS) break;
      await sleep(POLL_MS);
    }
    return open.length === 0;
  }

  /** Slack's first repeat of a question, which comes nearly at once, was taken. */
  wasRepeatedSoon({ tag }: JudgedTurn): boolean {
    return (this.#deliveries.get(tag) ?? []).some(({ acked, attempts }) => acked && attempts === 2);
  }

  /** Every event Slack delivered so far, to be delivered again. */
  get slackDeliveries(): readonly Delivery[] {
    return this.bridge.services.slack.deliveries.all;
  }

  /** Questions in a place that still bear a sign of the bot. */
  signsIn(place: string): number {
    const { discord, slack } = this.bridge.services;
    const onDiscord = discord.world.messagesIn(place).map(({ id }) => discord.world.states.get(id));
    const onSlack = [...(slack.workspace.channels.get(place)?.messages.values() ?? [])];
    return [...onDiscord, ...onSlack].filter((message) => (message?.reactions.size ?? 0) > 0).length;
  }

  view(place: string): ReturnType<BridgeUnderTest["discord"]["standIn"]["view"]>["messages"] {
    const { discord, slack } = this.bridge.services;
    return (discord.world.channels.has(place) ? discord : slack).view(place).messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
  }

  #wordsIn(place: string): WordsSeen {
    const known = this.#words.get(place);
    if (known !== undefined) return known;
    const messages = this.view(place);
    const words = readWords(messages);
    // What grows may also end by itself, in silence: Slack ends a stream that is too old.
    if (!messages.some(({ unfinished }) => unfinished)) this.#words.set(place, words);
    return words;
  }

  #onAsked(text: string): void {
    const tags = questionsIn(text).map(({ tag }) => tag);
    const first = this.#byTag.get(tags[0] ?? 0);
    const earlier = (this.#byLane.get(first?.lane ?? "") ?? []).filter(
      ({ tag, stopped }) => tag < (first?.tag ?? 0) && this.#asked.has(tag) && stopped !== true,
    );
    this.#askings.push({ tags, overtook: earlier.some((turn) => !this.isWhole(turn)) });
    for (const tag of tags) this.#asked.add(tag);
  }
}

function toSaid({ ts, deliveries }: { ts: string; deliveries: readonly Delivery[] }): Said {
  return { id: ts, deliveries };
}

/** What a draft says that its answer does not, as its question wishes. */
function draftOnly(text: string): string {
  const [, size] = /\bshrinks(\d+)\b/.exec(text) ?? [];
  return size === undefined ? "" : ` ${"taken back later ".repeat(Math.ceil(Number(size) / 17))}`;
}
