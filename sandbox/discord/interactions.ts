import type { StandInClock } from "../stand-in.ts";
import type { Snowflakes } from "./wire.ts";
import { type ApiError, apiError } from "./wire.ts";

const TOKEN_LIVES_MS = 15 * 60_000;
/** Follow-ups of an application that is installed for a user only. */
const MAX_FOLLOW_UPS = 5;

export interface Interaction {
  readonly id: string;
  readonly token: string;
  readonly channelId: string;
  readonly userId: string;
  readonly at: number;
  readonly command: string;
  /** The application is installed for the user, not in the guild. */
  readonly userInstall: boolean;
  responseId: string | undefined;
  acknowledged: boolean;
  followUps: number;
}

/** What has been asked by commands, and whether it may still be answered. */
export class Interactions {
  readonly #byId = new Map<string, Interaction>();
  readonly #byToken = new Map<string, Interaction>();
  readonly #clock: StandInClock;
  readonly #ids: Snowflakes;
  readonly #answerWithinMs: number;

  constructor(clock: StandInClock, ids: Snowflakes, answerWithinMs: number) {
    this.#clock = clock;
    this.#ids = ids;
    this.#answerWithinMs = answerWithinMs;
  }

  add(asked: Pick<Interaction, "channelId" | "userId" | "command" | "userInstall">): Interaction {
    const id = this.#ids.next();
    const interaction: Interaction = {
      ...asked,
      id,
      token: Buffer.from(`interaction:${id}:${crypto.randomUUID()}`).toString("base64url"),
      at: this.#clock.now(),
      responseId: undefined,
      acknowledged: false,
      followUps: 0,
    };
    this.#byId.set(id, interaction);
    this.#byToken.set(interaction.token, interaction);
    return interaction;
  }

  /** Takes an acknowledgement, or says why it comes too late. */
  acknowledge(id: string, token: string): Interaction | ApiError {
    const interaction = this.#byId.get(id);
    if (interaction === undefined || interaction.token !== token || this.#tooLate(interaction)) {
      return apiError(404, 10062, "Unknown interaction");
    }
    if (interaction.acknowledged) {
      return apiError(400, 40060, "Interaction has already been acknowledged.");
    }
    interaction.acknowledged = true;
    return interaction;
  }

  #tooLate(interaction: Interaction): boolean {
    return !interaction.acknowledged && this.#clock.now() - interaction.at > this.#answerWithinMs;
  }

  /** The interaction behind a webhook address. */
  ofToken(token: string): Interaction | ApiError {
    const interaction = this.#byToken.get(token);
    if (interaction === undefined) return apiError(401, 50027, "Invalid Webhook Token");
    if (!interaction.acknowledged) return apiError(404, 10015, "Unknown Webhook");
    if (this.#clock.now() - interaction.at > TOKEN_LIVES_MS) {
      return apiError(401, 50027, "Invalid Webhook Token");
    }
    return interaction;
  }

  followUp(interaction: Interaction): ApiError | undefined {
    if (interaction.userInstall && interaction.followUps >= MAX_FOLLOW_UPS) {
      return apiError(400, 40094, "You have reached the maximum number of follow up messages.");
    }
    interaction.followUps += 1;
    return undefined;
  }
}
