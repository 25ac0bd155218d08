import { createHash } from "node:crypto";
import { samplePicture } from "../../sandbox/sample-picture.ts";
import type { Exchange } from "../../sandbox/stand-in.ts";
import { MAILBOX_SCRIPTS, type MailboxScript } from "../../src/queue/mailbox-scripts.ts";
import type { Member } from "../e2e/bridge-under-test.ts";
import type { TapPoint } from "../redis-tap.ts";
import { type Arena, type AskOptions, LANE_KINDS, type LaneKind } from "./arena.ts";
import { isClean, type JudgedTurn, judge, type Verdict } from "./judge.ts";

type Service = "coze" | "discord" | "slack";

/**
 * Where the bridge is killed: at a call, before or after its effect, when a frame or event passes, or at a command to
 * Redis. Of several processes the one that has the turn is killed, or the intake where that is at work.
 */
export type KillPoint =
  | {
      readonly service: Service;
      readonly call: RegExp;
      readonly when: "before" | "after";
      /** How many such calls pass first. */
      readonly skip?: number;
      /** Counted only from the moment Coze has told the whole answer. */
      readonly afterAnswer?: true;
      readonly by?: "intake";
    }
  | {
      readonly service: Service;
      readonly frame: RegExp;
      readonly skip?: number;
    }
  | { readonly service: "redis"; readonly sends: readonly string[]; readonly when: "before" | "after" };

export interface KillScene {
  readonly lane: LaneKind;
  readonly name: string;
  readonly at: KillPoint;
  /** Killed again, where the next start comes to this point. */
  readonly again?: KillPoint;
  readonly words: number;
  readonly picture?: true;
  /** The draft is longer than the answer by so many characters: a message too many has to go. */
  readonly shrinks?: number;
  /** Its asker takes the question back once something of the answer is there. */
  readonly stops?: true;
  /** Asked while an earlier question of the lane is being answered. */
  readonly waits?: true;
  /** Somebody has asked there before: only such places are looked through for what was missed. */
  readonly used?: true;
  /**
   * Nobody can answer then: a command comes once (discord.md §4.2, slack.md §4.1), one that is not acknowledged is shown
   * as failed by Discord itself, and a place of Discord's where the bot was never used is not followed.
   */
  readonly beyondRescue?: true;
}

export interface SceneResult {
  readonly scene: KillScene;
  /** Where it was played. */
  readonly place: string;
  /** The bridge never came to the point. */
  readonly missed: boolean;
  readonly verdict: Verdict;
  /** Questions that still look as if they waited. */
  readonly signs: number;
}

/** Enough for some edits, within one message. */
const SHORT = 120;
/** More than one message on the platform. */
const LONG = { discord: 450, slack: 1_900 } as const;
/** More than the messages it may have: it ends as a file. */
const VERY_LONG = { discord: 900, slack: 4_600 } as const;

const CREATE = /^POST \/channels\/\d+\/messages$/;
const EDIT = /^PATCH \/channels\/\d+\/messages\/\d+$/;
/** Through the webhook while it lasts, or in the channel. */
const RESPONSE = /^PATCH \/(webhooks\/\d+\/[^/]+|channels\/\d+)\/messages\/(@original|\d+)$/;
const FOLLOW_UP = /^POST \/(webhooks\/\d+\/[^/]+|channels\/\d+\/messages)$/;
const CALLBACK = /^POST \/interactions\/\d+\/[^/]+\/callback$/;

const REMOVE = /^DELETE \/(webhooks\/\d+\/[^/]+|channels\/\d+)\/messages\/\d+$/;
const REACT = /^PUT \/channels\/\d+\/messages\/\d+\/reactions\//;
const UNREACT = /^DELETE \/channels\/\d+\/messages\/\d+\/reactions\//;
const DELTA = /^conversation\.message\.delta$/;
/** Characters a draft needs to fill a message more than {@link SHORT} words do. */
const SURPLUS = { discord: 2_000, slack: 14_000 } as const;

interface Effect extends Pick<KillScene, "picture" | "shrinks" | "stops" | "waits"> {
  readonly name: string;
  readonly service: Service;
  readonly call: RegExp;
  readonly skip?: number;
  readonly afterAnswer?: true;
  readonly long?: true;
  readonly file?: true;
  readonly by?: "intake";
}

interface Frame extends Pick<KillScene, "used" | "beyondRescue"> {
  readonly name: string;
  readonly service: Service;
  readonly frame: RegExp;
  readonly skip?: number;
}

const COZE_EFFECTS: readonly Effect[] = [
  { name: "conversation create", service: "coze", call: /^POST \/v1\/conversation\/create$/ },
  { name: "chat create", service: "coze", call: /^POST \/v3\/chat$/ },
];

const COZE_FRAMES: readonly Frame[] = [
  { name: "chat created told", service: "coze", frame: /^conversation\.chat\.created$/ },
  { name: "first delta told", service: "coze", frame: DELTA },
  { name: "in the middle of the answer", service: "coze", frame: DELTA, skip: 30 },
  { name: "answer completed told", service: "coze", frame: /^conversation\.message\.completed$/ },
  { name: "chat completed told", service: "coze", frame: /^conversation\.chat\.completed$/ },
];

const CANCEL: Effect = {
  name: "cancel at Coze",
  service: "coze",
  call: /^POST \/v3\/chat\/cancel$/,
  stops: true,
};
const UPLOAD: Effect = {
  name: "file upload",
  service: "coze",
  call: /^POST \/v1\/files\/upload$/,
  picture: true,
};

const onDiscord = (name: string, call: RegExp, more: Partial<Effect> = {}): Effect => ({
  name,
  service: "discord",
  call,
  ...more,
});
const onSlack = (name: string, method: string, more: Partial<Effect> = {}): Effect => ({
  name,
  service: "slack",
  call: new RegExp(`^POST /api/${method.replaceAll(".", "\\.")}$`),
  ...more,
});

/** All that brings a file to Slack. */
const SLACK_FILE: readonly Effect[] = [
  onSlack("file's ticket", "files.getUploadURLExternal", { file: true }),
  { name: "file's bytes", service: "slack", call: /^POST \/upload$/, file: true },
  onSlack("file's completion", "files.completeUploadExternal", { file: true }),
];

const LANE_EFFECTS: Readonly<Record<LaneKind, readonly Effect[]>> = {
  "discord mention": [
    onDiscord("typing", /^POST \/channels\/\d+\/typing$/),
    onDiscord("first post", CREATE),
    onDiscord("first edit", EDIT),
    onDiscord("later edit", EDIT, { skip: 1 }),
    onDiscord("second message", CREATE, { skip: 1, long: true }),
    onDiscord("final edit", EDIT, { afterAnswer: true }),
    onDiscord("removal of a surplus message", REMOVE, { shrinks: SURPLUS.discord }),
    onDiscord("file's message", CREATE, { skip: 3, file: true }),
    onDiscord("file", EDIT, { afterAnswer: true, file: true }),
    onDiscord("sign of waiting", REACT, { waits: true, by: "intake" }),
    onDiscord("end of that sign", UNREACT, { waits: true }),
    CANCEL,
    UPLOAD,
  ],
  "discord dm": [
    onDiscord("first post", CREATE),
    onDiscord("second message", CREATE, { skip: 1, long: true }),
    onDiscord("final edit", EDIT, { afterAnswer: true }),
    CANCEL,
    UPLOAD,
  ],
  "discord command": [
    onDiscord("defer", CALLBACK, { by: "intake" }),
    onDiscord("first response", RESPONSE),
    onDiscord("second message", FOLLOW_UP, { long: true }),
    onDiscord("final edit", RESPONSE, { afterAnswer: true }),
    onDiscord("removal of a surplus message", REMOVE, { shrinks: SURPLUS.discord }),
    onDiscord("file's message", FOLLOW_UP, { skip: 2, file: true }),
    onDiscord("file", RESPONSE, { afterAnswer: true, file: true }),
  ],
  "slack mention": [
    onSlack("status", "assistant.threads.setStatus"),
    onSlack("first post", "chat.postMessage"),
    onSlack("first edit", "chat.update"),
    onSlack("second message", "chat.postMessage", { skip: 1, long: true }),
    onSlack("final edit", "chat.update", { afterAnswer: true }),
    onSlack("removal of a surplus message", "chat.delete", { shrinks: SURPLUS.slack }),
    onSlack("sign of waiting", "reactions.add", { waits: true, by: "intake" }),
    onSlack("end of that sign", "reactions.remove", { waits: true }),
    ...SLACK_FILE,
    CANCEL,
    UPLOAD,
  ],
  "slack dm": [
    onSlack("status", "assistant.threads.setStatus"),
    onSlack("stream start", "chat.startStream"),
    onSlack("first append", "chat.appendStream"),
    onSlack("later append", "chat.appendStream", { skip: 2 }),
    onSlack("segment stop", "chat.stopStream", { long: true }),
    onSlack("second segment", "chat.startStream", { skip: 1, long: true }),
    onSlack("final stop", "chat.stopStream", { afterAnswer: true }),
    onSlack("final edit", "chat.update", { shrinks: 100 }),
    ...SLACK_FILE,
    CANCEL,
    UPLOAD,
  ],
  "slack command": [
    onSlack("posted question", "chat.postMessage"),
    onSlack("first post", "chat.postMessage", { skip: 1 }),
    onSlack("final edit", "chat.update", { afterAnswer: true }),
    ...SLACK_FILE,
  ],
};

const DISCORD_DELIVERED = { name: "delivered", service: "discord", frame: /^MESSAGE_CREATE$/ } as const;
const DISCORD_INTAKE: readonly Frame[] = [
  { ...DISCORD_DELIVERED, used: true },
  { ...DISCORD_DELIVERED, name: "delivered, place never used", beyondRescue: true },
];

const LANE_INTAKE: Readonly<Record<LaneKind, readonly Frame[]>> = {
  "discord mention": DISCORD_INTAKE,
  "discord dm": DISCORD_INTAKE,
  "discord command": [
    { name: "delivered", service: "discord", frame: /^INTERACTION_CREATE$/, beyondRescue: true },
  ],
  "slack mention": [
    { name: "delivered", service: "slack", frame: /^events_api$/ },
    { name: "acknowledged", service: "slack", frame: /^ack$/ },
  ],
  "slack dm": [
    { name: "delivered", service: "slack", frame: /^events_api$/ },
    { name: "acknowledged", service: "slack", frame: /^ack$/ },
  ],
  "slack command": [
    { name: "delivered", service: "slack", frame: /^slash_commands$/, beyondRescue: true },
    { name: "acknowledged", service: "slack", frame: /^ack$/ },
  ],
};

const middle: KillPoint = { service: "coze", frame: DELTA, skip: 30 };
/** What a start that goes on with an answer does itself, by lane: it is killed in the middle of that, too. */
const RECOVERY: readonly (readonly [LaneKind, Effect])[] = [
  ["discord mention", onDiscord("edit", EDIT)],
  ["discord command", onDiscord("edit", RESPONSE)],
  ["slack mention", onSlack("look for its messages", "conversations.replies")],
  ["slack mention", onSlack("edit", "chat.update")],
  ["slack dm", onSlack("look for its messages", "conversations.replies")],
  ["slack dm", onSlack("stop of the old stream", "chat.stopStream")],
  ["slack dm", onSlack("edit", "chat.update")],
];

/** A file that was shared, or nearly, by a process whose follower is killed, too, while it asks what became of it. */
const FILE_RECOVERY: readonly KillScene[] = (["before", "after"] as const).flatMap((when) =>
  (["slack mention", "slack dm"] as const).map((lane) => ({
    lane,
    name: `${when} file's completion and again before the look for it`,
    at: { service: "slack", call: /^POST \/api\/files\.completeUploadExternal$/, when } as const,
    again: { service: "slack", call: /^POST \/api\/files\.info$/, when: "before" } as const,
    words: VERY_LONG.slack,
  })),
);

/** Every point of every kind of turn, whatever the queue. */
export function allScenes(): readonly KillScene[] {
  return [
    ...LANE_KINDS.flatMap(scenesOf),
    ...RECOVERY.flatMap(([lane, effect]) => recoveryScenes(lane, effect)),
    ...FILE_RECOVERY,
  ];
}

function scenesOf(lane: LaneKind): KillScene[] {
  const frames = [...LANE_INTAKE[lane], ...COZE_FRAMES];
  return [
    ...frames.map(({ name, service, frame, skip, ...more }) => ({
      lane,
      name,
      at: { service, frame, ...(skip !== undefined && { skip }) },
      words: SHORT,
      ...more,
    })),
    ...[...COZE_EFFECTS, ...LANE_EFFECTS[lane]].flatMap((effect) => effectScenes(lane, effect)),
  ];
}

function effectScenes(
  lane: LaneKind,
  { name, long, file, service, call, skip, afterAnswer, by, ...more }: Effect,
): KillScene[] {
  const point = {
    ...{ service, call },
    ...(skip !== undefined && { skip }),
    ...(afterAnswer && { afterAnswer }),
    ...(by && { by }),
  };
  const platform = lane.startsWith("discord") ? "discord" : "slack";
  return (["before", "after"] as const).map((when) => ({
    lane,
    name: `${when} ${name}`,
    at: { ...point, when },
    words: file === true ? VERY_LONG[platform] : long === true ? LONG[platform] : SHORT,
    ...more,
  }));
}

function recoveryScenes(lane: LaneKind, { name, service, call }: Effect): KillScene[] {
  return (["before", "after"] as const).map((when) => ({
    lane,
    name: `and again ${when} ${name}`,
    at: middle,
    again: { service, call, when },
    words: SHORT,
  }));
}

/** What a turn writes to Redis, each named by bytes that nothing before it has. */
const REDIS_STEPS: readonly { name: string; sends: readonly string[]; used?: true }[] = [
  // Discord tells a message once; what it told a killed process is looked for in places that were used before.
  { name: "turn stored", sends: script("tqEnqueue"), used: true },
  { name: "turn taken", sends: script("tqBegin") },
  { name: "checkpoint asked", sends: ['"asked":{'] },
  { name: "checkpoint chat", sends: ['"chat":{'] },
  { name: "checkpoint reply", sends: ['"reply":{'] },
  { name: "checkpoint done", sends: ['"done":{'] },
  { name: "turn ended", sends: script("tqFinish") },
];

/** Every step of the queue on Redis and every checkpoint, in one lane per reply style. */
export function redisScenes(): readonly KillScene[] {
  const steps = (["discord mention", "slack mention", "slack dm"] as const).flatMap((lane) =>
    REDIS_STEPS.flatMap((step) => redisPoints(lane, step)),
  );
  const brought = redisPoints("discord dm", { name: "checkpoint brought", sends: ['"brought":{'] });
  return [...steps, ...brought.map((scene) => ({ ...scene, picture: true as const }))];
}

function redisPoints(lane: LaneKind, { name, sends, ...more }: (typeof REDIS_STEPS)[number]): KillScene[] {
  return (["before", "after"] as const).map((when) => ({
    lane,
    name: `${when} ${name}`,
    at: { service: "redis", sends, when },
    words: SHORT,
    ...more,
  }));
}

/** A script as it is sent: whole the first time on a connection, by its hash after that. */
function script(name: MailboxScript): readonly string[] {
  const lua = MAILBOX_SCRIPTS[name];
  return [lua, createHash("sha1").update(lua).digest("hex")];
}

/** Whether all is as it must be; `oneAsking`: Coze lets us know, so nothing may have been asked twice. */
export function isSceneClean({ scene, missed, verdict, signs }: SceneResult, oneAsking: boolean): boolean {
  const rescued = scene.beyondRescue === true ? { ...verdict, lost: [] } : verdict;
  return !missed && signs === 0 && isClean(rescued) && !(oneAsking && verdict.askedTwice.length > 0);
}

/** How long the bridge may take to come to the point, in ms. */
const POINT_MS = 30_000;
/** How long an answer is waited for that nobody can give. */
const BEYOND_RESCUE_MS = 2_000;

/**
 * Asks, kills the bridge at the point, and judges when the answer is there and the next question of the conversation is
 * answered: then the first turn is certainly over. A single process is started again; of several workers the others
 * have to answer without the killed one.
 */
export async function playScene(arena: Arena, scene: KillScene): Promise<SceneResult> {
  const lane = arena.lane(scene.lane);
  const { picture, shrinks, stops, words } = scene;
  const turns: JudgedTurn[] = [];
  const ask = (length: number, options?: AskOptions): JudgedTurn => {
    const turn = arena.ask(lane, length, options);
    turns.push(turn);
    return turn;
  };
  if (scene.used === true) await arena.settle([ask(5)]);
  const first = scene.waits === true ? ask(SHORT) : undefined;
  if (first !== undefined) await arena.until(() => arena.isAsked(first));
  const files = picture === true ? [{ name: "sunset.png", bytes: samplePicture() }] : undefined;
  let victim = await killAt(arena, scene.at, () => void ask(words, { files, shrinks, stops }));
  if (scene.again !== undefined && victim !== undefined) {
    victim = await killAt(arena, scene.again, () => replace(victim));
  }
  await replace(victim);
  await arena.settle(turns, scene.beyondRescue === true ? BEYOND_RESCUE_MS : undefined);
  await arena.bridge.start();
  // A command comes once: it needs somebody who listens, and the lease of a killed intake lasts a while.
  if (scene.lane === "discord command")
    await arena.until(() => arena.bridge.services.discord.gateway.connected > 0);
  const next = ask(5);
  await arena.settle(scene.beyondRescue === true ? [next] : turns);
  return {
    scene,
    place: lane.place,
    missed: victim === undefined,
    verdict: judge(arena.history(turns)),
    signs: arena.signsIn(lane.place),
  };
}

/** Somebody goes on where this process was killed: the next start, or another worker by itself. */
async function replace(victim: Member | undefined): Promise<void> {
  if (victim?.role !== "worker") await victim?.start();
}

const SERVICES: readonly Service[] = ["coze", "discord", "slack"];

/** Does something, and kills at the point that comes of it. @returns Who was killed; nobody when that takes too long. */
async function killAt(
  arena: Arena,
  at: KillPoint,
  act: () => void | Promise<void>,
): Promise<Member | undefined> {
  const met = meet(arena, at, `ask${arena.turns.length + 1} `);
  await act();
  const victim = await met;
  for (const service of SERVICES) arena.bridge.services[service].faults.clear();
  return victim;
}

/**
 * Kills when the point is met, and resolves when that process is gone.
 *
 * @param mark - What the question says: of the platforms' frames only those about it count.
 */
function meet(arena: Arena, at: KillPoint, mark: string): Promise<Member | undefined> {
  const { services, members } = arena.bridge;
  const { promise, resolve } = Promise.withResolvers<Member | undefined>();
  const leaves: (() => void)[] = [];
  const end = (victim: Member | undefined): void => {
    for (const leave of leaves.splice(0)) leave();
    // The signal is sent at once.
    resolve(victim?.kill().then(() => victim));
  };
  const late = setTimeout(() => end(undefined), POINT_MS);
  leaves.push(() => clearTimeout(late));
  let [holder] = members;
  const watch = (member: Member, point: TapPoint): void => {
    member.tap?.points.add(point);
    leaves.push(() => member.tap?.points.delete(point));
  };
  if (at.service === "redis") {
    for (const member of members) watch(member, { ...at, met: () => end(member) });
    return promise;
  }
  for (const member of members) {
    const met = (): void => {
      holder = member;
    };
    watch(member, { sends: script("tqBegin"), when: "passing", met });
  }
  const kill = (): void => end(isOfIntake(at) ? members[0] : holder);
  if ("frame" in at) {
    let left = at.skip ?? 0;
    const onExchange = ({ kind, name, request }: Exchange): void => {
      if (kind === "http" || !at.frame.test(name)) return;
      if (at.service !== "coze" && !JSON.stringify(askedBy(arena, request)).includes(mark)) return;
      if (left === 0) kill();
      left -= 1;
    };
    leaves.push(services[at.service].traffic.onExchange(onExchange));
    return promise;
  }
  const plan = (): void => {
    const fault = at.when === "before" ? ("hang" as const) : ("commit-then-hang" as const);
    services[at.service].faults.plan(at.call, { do: fault, met: kill }, 1, at.skip);
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

/** What a frame is about: an acknowledgement in Slack only names its delivery. */
function askedBy(arena: Arena, frame: unknown): unknown {
  const { envelope_id: id } = Object(frame) as { envelope_id?: unknown };
  return arena.slackDeliveries.find(({ envelopeId }) => envelopeId === id)?.payload ?? frame;
}

/** Whether the intake does it: what a platform delivers is taken in by it. */
function isOfIntake(at: KillPoint): boolean {
  return ("frame" in at && at.service !== "coze") || ("by" in at && at.by === "intake");
}
