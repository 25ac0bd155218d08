import { Arena } from "./arena.ts";
import { countOrphans } from "./judge.ts";
import { type KillPoint, type KillScene, playScene } from "./kill-points.ts";

/** What an operator's Slack may allow us. */
export const SLACK_RIGHTS = ["all scopes", "slow history", "no history scopes"] as const;
export type SlackRights = (typeof SLACK_RIGHTS)[number];

export interface ScopesRow {
  readonly scene: string;
  readonly rights: SlackRights;
  /** Messages that a killed process left behind, and that nobody found again. */
  readonly orphans: number;
  /** How often the log says that one is possible. */
  readonly marked: number;
  /** The answer stands there whole, orphans apart. */
  readonly answered: boolean;
}

/** Without the scopes that only channels need; a DM cannot do without its own. */
const WITHOUT_HISTORY = [
  "app_mentions:read",
  "assistant:write",
  "chat:write",
  "commands",
  "files:read",
  "im:history",
  "im:write",
  "reactions:write",
  "users:read",
];

const after = (method: string, skip = 0): KillPoint => ({
  service: "slack",
  call: new RegExp(`^POST /api/${method.replaceAll(".", "\\.")}$`),
  when: "after",
  skip,
});
const SHORT = 120;
const LONG = 1_900;

/** Every call that makes a message whose id may be lost with the process, by how answers are shown in channels. */
const SCENES: Readonly<Record<"edit" | "native", readonly KillScene[]>> = {
  edit: [
    { lane: "slack mention", name: "first post", at: after("chat.postMessage"), words: SHORT },
    { lane: "slack mention", name: "second message", at: after("chat.postMessage", 1), words: LONG },
    { lane: "slack command", name: "posted question", at: after("chat.postMessage"), words: SHORT },
    { lane: "slack command", name: "first post", at: after("chat.postMessage", 1), words: SHORT },
  ],
  native: [
    { lane: "slack mention", name: "stream start", at: after("chat.startStream"), words: SHORT },
    { lane: "slack mention", name: "second segment", at: after("chat.startStream", 1), words: LONG },
    { lane: "slack dm", name: "stream start", at: after("chat.startStream"), words: SHORT },
    { lane: "slack dm", name: "second segment", at: after("chat.startStream", 1), words: LONG },
  ],
};

/**
 * Kills the bridge after each call that makes a message in Slack, by what the app may read there, and counts what is
 * left behind (design.md §8: without history scopes one message for each kill at most).
 *
 * @param pick - Some of the scenes only, by their name.
 */
export async function slackScopes({
  rights = SLACK_RIGHTS,
  pick = /./,
}: {
  rights?: readonly SlackRights[];
  pick?: RegExp;
} = {}): Promise<ScopesRow[]> {
  const rows = await Promise.all(rights.map((each) => playAll(each, pick)));
  return rows.flat();
}

async function playAll(rights: SlackRights, pick: RegExp): Promise<ScopesRow[]> {
  const rows: ScopesRow[] = [];
  for (const style of ["edit", "native"] as const) {
    const scenes = SCENES[style].filter(({ name }) => pick.test(name));
    if (scenes.length === 0) continue;
    let log = "";
    await using arena = await Arena.open({
      env: { SLACK_CHANNEL_STYLE: style, LOG_LEVEL: "warn" },
      onLog: (text) => {
        log += text;
      },
      standIns: {
        slack: {
          ...(rights === "no history scopes" && { scopes: WITHOUT_HISTORY }),
          ...(rights === "slow history" && { switches: { limitedHistory: true } }),
        },
      },
    });
    for (const scene of scenes) {
      log = "";
      const { place, missed, verdict } = await playScene(arena, scene);
      rows.push({
        scene: `${scene.lane}, ${style}: after ${scene.name}`,
        rights,
        orphans: countOrphans(arena.view(place)),
        marked: log.split("orphan possible").length - 1,
        answered: !missed && verdict.lost.length === 0 && verdict.half.length === 0,
      });
    }
  }
  return rows;
}
