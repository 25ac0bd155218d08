import type { Json } from "./json.ts";

/** Version of the turn's stored form. A newer one is released untouched, never guessed at. */
export const TURN_VERSION = 1;

/** Languages our own sentences exist in. */
export type Locale = "en" | "zh";

/**
 * One thing a person asked, plus all that is needed to answer it from another process.
 *
 * Plain JSON: it is stored before the platform is acknowledged and outlives the process.
 */
export interface Turn {
  readonly v: typeof TURN_VERSION;
  /** The platform message plus a revision, e.g. `discord:app:channel:message#r0`. */
  readonly id: string;
  /** Short, speakable reference to `id`; stands in notices and in every log line of the turn. */
  readonly reference: string;
  readonly platform: string;
  /** The workspace or guild that added us. */
  readonly installation: string;
  /** Conversation key, `platform:installation:place[:thread][:asker]`; also the queue's lane. */
  readonly conversation: string;
  readonly asker: Asker;
  /** What was asked, without the mention of us; may be empty when there are attachments. */
  readonly text: string;
  /** The message that was replied to, when it is not one of this conversation's own. */
  readonly quote?: Quote;
  readonly attachments: readonly Attachment[];
  readonly locale: Locale;
  /** When the person sent it, in ms since the epoch, by the platform's clock. */
  readonly sentAt: number;
  readonly route: Route;
  /** When its text was changed last, in ms since the epoch, by the platform's clock; absent when it never was. */
  readonly editedAt?: number;
  /** Found by catch-up: it was asked while nobody listened. */
  readonly late?: boolean;
  /** Asked in a thread that we took no part in: what stands above it is still to be read (`Adapter.complete`). */
  readonly belowTalk?: boolean;
  /** Where the reply goes. Only the adapter that made it reads it. */
  readonly address: Json;
}

/** A turn as an adapter hands it in: what only the core knows is still missing. */
export interface IncomingTurn extends Omit<Turn, "v" | "reference" | "route"> {
  /**
   * Key of the reply message this one answers, made by the adapter the same way as
   * {@link FinishedReply.messageKeys}. When it is one of ours, its conversation continues.
   */
  readonly continues?: string;
  /** Has a sign of its own that waits for an answer, as commands have: it never runs as one with its neighbours. */
  readonly alone?: boolean;
  /** Something of ours stands there already that may be its answer, though no queue knows it. */
  readonly perhapsStarted?: boolean;
  /** The platform message alone, without revision: twins and redeliveries share it. */
  readonly dedupeKey: string;
}

/** The person of a turn. */
export interface Asker {
  /** Stable over places, e.g. `discord:<application>:<user>`; becomes Coze's `user_id`. */
  readonly key: string;
  readonly name: string;
}

/** Text a turn refers to. */
export interface Quote {
  /** Empty where nobody says whose it is. */
  readonly author: string;
  readonly text: string;
}

/** A file that came with a turn. Only described here; the adapter opens it when its turn runs. */
export interface Attachment {
  readonly id: string;
  /** As the uploader named it; untrusted. */
  readonly name: string;
  /** Size the platform claims, in bytes; untrusted. */
  readonly size?: number;
  readonly contentType?: string;
  /** Platform URL; a secret for as long as its signature is valid. */
  readonly url: string;
}

/** Which bot answers here. Frozen into the turn when it is accepted. */
export interface Route {
  readonly botId: string;
}
