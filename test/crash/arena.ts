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

/** A conversation in a place of its own. */
export interface Lane {
  readonly kind: LaneKind;
  readonly name: string;
  readonly place: string;
  say(text: string, files?: readonly { name: string; bytes: Uint8Array }[]): void;
}

/** How long nothing may change before what is missing counts as lost, in ms. */
const PATIENCE_MS = 15_000;
const POLL_MS = 100;
/** Pieces that an answer comes in at most, and the time between two, in ms: long ones take some edits. */
const PIECES = 60;
const PIECE_MS = 40;

export interface ArenaOptions extends TestOptions {
  readonly runningQuestionListed?: boolean;
}

/** The bridge, people who ask it, and a record that the judge can read. */
export class Arena implements AsyncDisposable {
  readonly bridge: BridgeUnderTest;
  readonly #turns: JudgedTurn[] = [];
  readonly #askings: Asking[] = [];
  #lanes = 0;

  private constructor(bridge: BridgeUnderTest, options: ArenaOptions) {
    this.bridge = bridge;
    const { coze } = bridge.services;
    coze.switches.runningQuestionListed = options.runningQuestionListed ?? true;
    // Each piece is one delta.
    coze.setPace({ firstDeltaMs: PIECE_MS, deltaMs: PIECE_MS, charactersPerDelta: 100_000, speed: 1 });
    coze.service.script(({ text }) => {
      this.#asked(text);
      const answer = answerTo(text);
      const size = Math.max(8, Math.ceil(answer.length / PIECES));
      const pieces = answer.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      return {
        steps: [
          ...pieces.map((piece) => ({ do: "delta", answer: 0, text: piece }) as const),
          { do: "answer", answer: 0, text: answer },
        ],
      };
    });
  }

  static async open(options: ArenaOptions): Promise<Arena> {
    return new Arena(await openBridge(options), options);
  }

  /** A new conversation: a channel or a person nobody else uses. */
  lane(kind: LaneKind): Lane {
    const { discord, slack } = this.bridge.services;
    this.#lanes += 1;
    const name = `${kind} ${this.#lanes}`;
    const slug = name.replaceAll(" ", "-");
    const [platform] = kind.split(" ");
    if (platform === "discord") {
      const person = discord.person(slug);
      const place = kind === "discord dm" ? person.dmChannel : discord.addChannel(slug);
      const says = {
        "discord mention": (text: string) => void person.say(place, `@Coze ${text}`),
        "discord command": (text: string) => void person.slash(place, { question: text }),
      };
      return {
        kind,
        name,
        place,
        say: (text, files = []) =>
          kind === "discord mention" || kind === "discord command"
            ? says[kind](text)
            : void person.dm(text, { files }),
      };
    }
    const person = slack.person(slug);
    const { workspace } = slack;
    const place =
      kind === "slack dm"
        ? workspace.dmWith(person.id).id
        : workspace.addChannel(slug, "channel", [workspace.bot.userId, person.id]).id;
    let thread: string | undefined;
    return {
      kind,
      name,
      place,
      say(text) {
        if (kind === "slack dm") person.dm(text);
        else if (kind === "slack command") person.slash(place, text);
        else {
          const said = person.say(place, `@Coze ${text}`, thread === undefined ? {} : { thread });
          thread ??= said.ts;
        }
      },
    };
  }

  /** Somebody asks in a lane. */
  ask(lane: Lane, words: number, files?: readonly { name: string; bytes: Uint8Array }[]): JudgedTurn {
    const tag = this.#turns.length + 1;
    // Each use of a command in Slack begins a thread, so a conversation, of its own.
    const own = lane.kind === "slack command" ? `${lane.name} ${tag}` : lane.name;
    const turn = { tag, lane: own, place: lane.place, words };
    this.#turns.push(turn);
    lane.say(questionText(tag, words), files);
    return turn;
  }

  isWhole(turn: JudgedTurn): boolean {
    return isWhole(turn, this.#view(turn.place));
  }

  get turns(): readonly JudgedTurn[] {
    return this.#turns;
  }

  get askings(): readonly Asking[] {
    return this.#askings;
  }

  /** What happened to these turns; to all when none are named. */
  history(turns: readonly JudgedTurn[] = this.#turns): History {
    const tags = new Set(turns.map(({ tag }) => tag));
    return {
      turns,
      places: new Map(turns.map(({ place }) => [place, this.#view(place)])),
      askings: this.#askings.filter((asking) => asking.tags.some((tag) => tags.has(tag))),
    };
  }

  /** Waits until all are whole, or until nothing has changed for so long that nothing will. */
  async settle(
    turns: readonly JudgedTurn[] = this.#turns,
    patienceMs: number = PATIENCE_MS,
  ): Promise<boolean> {
    let changedAt = performance.now();
    let open = [...turns];
    const touch = (): void => {
      changedAt = performance.now();
    };
    const leave = [this.bridge.services.discord.onChange(touch), this.bridge.services.slack.onChange(touch)];
    for (;;) {
      open = open.filter((turn) => !this.isWhole(turn));
      if (open.length === 0 || performance.now() - changedAt > patienceMs) break;
      await sleep(POLL_MS);
    }
    for (const stop of leave) stop();
    return open.length === 0;
  }

  /** Every event Slack delivered so far, to be delivered again. */
  get slackDeliveries(): readonly Delivery[] {
    return this.bridge.services.slack.deliveries.all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge[Symbol.asyncDispose]();
  }

  #asked(text: string): void {
    const tags = questionsIn(text).map(({ tag }) => tag);
    const first = this.#turns.find(({ tag }) => tag === tags[0]);
    const asked = new Set(this.#askings.flatMap((asking) => asking.tags));
    const earlier = this.#turns.filter(
      ({ lane, tag }) => lane === first?.lane && tag < first.tag && asked.has(tag),
    );
    this.#askings.push({ tags, overtook: earlier.some((turn) => !this.isWhole(turn)) });
  }

  #view(place: string): ReturnType<BridgeUnderTest["discord"]["standIn"]["view"]>["messages"] {
    const { discord, slack } = this.bridge.services;
    return (discord.world.channels.has(place) ? discord : slack).view(place).messages;
  }
}
