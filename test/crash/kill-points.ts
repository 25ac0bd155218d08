import { samplePicture } from "../../sandbox/sample-picture.ts";
import type { Exchange } from "../../sandbox/stand-in.ts";
import type { Arena, LaneKind } from "./arena.ts";
import { isClean, judge, type Verdict } from "./judge.ts";

type Service = "coze" | "discord" | "slack";

/** Where the bridge is killed: at a call, before or after its effect, or when a frame or event passes. */
export type KillPoint =
  | {
      readonly service: Service;
      readonly call: RegExp;
      readonly when: "before" | "after";
      /** How many such calls pass first. */
      readonly skip?: number;
      /** Counted only from the moment Coze has told the whole answer. */
      readonly afterAnswer?: true;
    }
  | { readonly service: Service; readonly frame: RegExp; readonly skip?: number };

export interface KillScene {
  readonly lane: LaneKind;
  readonly name: string;
  readonly at: KillPoint;
  readonly words: number;
  readonly picture?: true;
  /**
   * Nobody can answer then: a command comes once (discord.md §4.2), and one that is not acknowledged is shown as failed
   * by Discord itself.
   */
  readonly beyondRescue?: true;
}

export interface SceneResult {
  readonly scene: KillScene;
  /** The bridge never came to the point. */
  readonly missed: boolean;
  readonly verdict: Verdict;
}

/** Enough for some edits, within one message. */
const SHORT = 120;
/** More than one message on the platform. */
const LONG = { discord: 450, slack: 1_900 } as const;

const CREATE = /^POST \/channels\/\d+\/messages$/;
const EDIT = /^PATCH \/channels\/\d+\/messages\/\d+$/;
/** Through the webhook while it lasts, or in the channel. */
const RESPONSE = /^PATCH \/(webhooks\/\d+\/[^/]+|channels\/\d+)\/messages\/(@original|\d+)$/;
const FOLLOW_UP = /^POST \/(webhooks\/\d+\/[^/]+|channels\/\d+\/messages)$/;
const CALLBACK = /^POST \/interactions\/\d+\/[^/]+\/callback$/;

const slackCall = (method: string): RegExp => new RegExp(`^POST /api/${method.replace(".", "\\.")}$`);

interface Effect {
  readonly name: string;
  readonly service: Service;
  readonly call: RegExp;
  readonly skip?: number;
  readonly afterAnswer?: true;
  readonly long?: true;
}

const COZE_EFFECTS: readonly Effect[] = [
  { name: "conversation create", service: "coze", call: /^POST \/v1\/conversation\/create$/ },
  { name: "chat create", service: "coze", call: /^POST \/v3\/chat$/ },
];

const FRAMES: readonly { name: string; frame: RegExp; skip?: number }[] = [
  { name: "chat created told", frame: /^conversation\.chat\.created$/ },
  { name: "first delta told", frame: /^conversation\.message\.delta$/ },
  { name: "in the middle of the answer", frame: /^conversation\.message\.delta$/, skip: 30 },
  { name: "answer completed told", frame: /^conversation\.message\.completed$/ },
  { name: "chat completed told", frame: /^conversation\.chat\.completed$/ },
];

const LANE_EFFECTS: Readonly<Record<LaneKind, readonly Effect[]>> = {
  "discord mention": [
    { name: "typing", service: "discord", call: /^POST \/channels\/\d+\/typing$/ },
    { name: "first post", service: "discord", call: CREATE },
    { name: "first edit", service: "discord", call: EDIT },
    { name: "later edit", service: "discord", call: EDIT, skip: 1 },
    { name: "second message", service: "discord", call: CREATE, skip: 1, long: true },
    { name: "final edit", service: "discord", call: EDIT, afterAnswer: true },
  ],
  "discord dm": [{ name: "first post", service: "discord", call: CREATE }],
  "discord command": [
    { name: "defer", service: "discord", call: CALLBACK },
    { name: "first response", service: "discord", call: RESPONSE },
    { name: "second message", service: "discord", call: FOLLOW_UP, long: true },
    { name: "final edit", service: "discord", call: RESPONSE, afterAnswer: true },
  ],
  "slack mention": [
    { name: "status", service: "slack", call: slackCall("assistant.threads.setStatus") },
    { name: "first post", service: "slack", call: slackCall("chat.postMessage") },
    { name: "first edit", service: "slack", call: slackCall("chat.update") },
    { name: "second message", service: "slack", call: slackCall("chat.postMessage"), skip: 1, long: true },
    { name: "final edit", service: "slack", call: slackCall("chat.update"), afterAnswer: true },
  ],
  "slack dm": [
    { name: "status", service: "slack", call: slackCall("assistant.threads.setStatus") },
    { name: "stream start", service: "slack", call: slackCall("chat.startStream") },
    { name: "first append", service: "slack", call: slackCall("chat.appendStream") },
    { name: "later append", service: "slack", call: slackCall("chat.appendStream"), skip: 2 },
    { name: "segment stop", service: "slack", call: slackCall("chat.stopStream"), long: true },
    { name: "second segment", service: "slack", call: slackCall("chat.startStream"), skip: 1, long: true },
    { name: "final stop", service: "slack", call: slackCall("chat.stopStream"), afterAnswer: true },
  ],
  "slack command": [{ name: "posted question", service: "slack", call: slackCall("chat.postMessage") }],
};

/** Every point of every kind of turn. */
export function allScenes(): readonly KillScene[] {
  const lanes = Object.entries(LANE_EFFECTS) as [LaneKind, readonly Effect[]][];
  return [...lanes.flatMap(([lane, effects]) => scenesOf(lane, effects)), ...fileScenes()];
}

/** Coze's part is the same for every lane: the whole of it is tried in one per reply style. */
const COZE_LANES: ReadonlySet<LaneKind> = new Set(["discord mention", "slack mention", "slack dm"]);

function scenesOf(lane: LaneKind, effects: readonly Effect[]): KillScene[] {
  const platform = lane.startsWith("discord") ? "discord" : "slack";
  const own = COZE_LANES.has(lane) ? [...COZE_EFFECTS, ...effects] : effects;
  const calls = own.flatMap(({ name, long, ...call }): KillScene[] =>
    (["before", "after"] as const).map((when) => ({
      lane,
      name: `${when} ${name}`,
      at: { ...call, when },
      words: long === true ? LONG[platform] : SHORT,
      ...(name === "defer" && when === "before" && { beyondRescue: true }),
    })),
  );
  const frames = FRAMES.map(({ name, ...frame }) => ({
    lane,
    name,
    at: { service: "coze", ...frame } as const,
    words: SHORT,
  }));
  const intake: KillScene[] =
    platform === "slack"
      ? [
          {
            lane,
            name: "delivered",
            at: { service: "slack", frame: /^(events_api|slash_commands)$/ },
            words: SHORT,
          },
          { lane, name: "acknowledged", at: { service: "slack", frame: /^ack$/ }, words: SHORT },
        ]
      : [
          {
            lane,
            name: "delivered",
            at: { service: "discord", frame: /^(MESSAGE|INTERACTION)_CREATE$/ },
            words: SHORT,
            ...(lane === "discord command" && { beyondRescue: true }),
          },
        ];
  return [...intake, ...calls, ...(COZE_LANES.has(lane) ? frames : [])];
}

function fileScenes(): KillScene[] {
  return (["before", "after"] as const).map((when) => ({
    lane: "discord dm",
    name: `${when} file upload`,
    at: { service: "coze", call: /^POST \/v1\/files\/upload$/, when },
    words: SHORT,
    picture: true,
  }));
}

/** Whether all is as it must be; `oneAsking`: Coze lets us know, so nothing may have been asked twice. */
export function isSceneClean({ scene, missed, verdict }: SceneResult, oneAsking: boolean): boolean {
  const rescued = scene.beyondRescue === true ? { ...verdict, lost: [] } : verdict;
  return !missed && isClean(rescued) && !(oneAsking && verdict.askedTwice.length > 0);
}

/** How long the bridge may take to come to the point, in ms. */
const POINT_MS = 20_000;

/**
 * Asks, kills the bridge at the point, starts it again, and judges when the answer is there and the next question of
 * the conversation is answered: then the first turn is certainly over.
 */
export async function playScene(arena: Arena, scene: KillScene): Promise<SceneResult> {
  const lane = arena.lane(scene.lane);
  const met = meet(arena, scene.at);
  const files = scene.picture === true ? [{ name: "sunset.png", bytes: samplePicture() }] : undefined;
  const turn = arena.ask(lane, scene.words, files);
  const missed = !(await met);
  await arena.bridge.kill();
  for (const service of SERVICES) arena.bridge.services[service].faults.clear();
  await arena.bridge.start();
  await arena.settle([turn]);
  const next = arena.ask(lane, 5);
  await arena.settle([turn, next]);
  return { scene, missed, verdict: judge(arena.history([turn, next])) };
}

const SERVICES: readonly Service[] = ["coze", "discord", "slack"];

/** Kills when the point is met; false when that takes too long. The kill itself is awaited by the caller. */
function meet(arena: Arena, at: KillPoint): Promise<boolean> {
  const { services } = arena.bridge;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const leaves: (() => void)[] = [];
  const end = (met: boolean): void => {
    clearTimeout(late);
    for (const leave of leaves) leave();
    if (met) arena.bridge.child().kill("SIGKILL");
    resolve(met);
  };
  const late = setTimeout(() => end(false), POINT_MS);
  if ("frame" in at) {
    let left = at.skip ?? 0;
    const onExchange = ({ kind, name }: Exchange): void => {
      if (kind === "http" || !at.frame.test(name)) return;
      if (left === 0) end(true);
      left -= 1;
    };
    leaves.push(services[at.service].traffic.onExchange(onExchange));
    return promise;
  }
  const plan = (): void => {
    const fault = at.when === "before" ? ("hang" as const) : ("commit-then-hang" as const);
    services[at.service].faults.plan(at.call, { do: fault, met: () => end(true) }, 1, at.skip);
  };
  if (at.afterAnswer !== true) {
    plan();
    return promise;
  }
  let planned = false;
  leaves.push(
    services.coze.traffic.onExchange(({ name }) => {
      if (name !== "conversation.chat.completed" || planned) return;
      planned = true;
      plan();
    }),
  );
  return promise;
}
