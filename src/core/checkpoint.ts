import type { BroughtFiles } from "./bring-files.ts";
import type { ErrorCode } from "./errors.ts";
import type { Json } from "./json.ts";
import { RetryLater, type Run } from "./ports.ts";

/** Version of the checkpoint's stored form; a newer one is released untouched. */
const CHECKPOINT_VERSION = 1;

/** One chat of Coze. */
export interface ChatIds {
  readonly conversationId: string;
  readonly chatId: string;
}

/**
 * What is known of a turn's effects, each part saved before the effect that follows it.
 *
 * @see docs/how-it-works.md
 */
export interface Progressed {
  /** The reply's own state: which messages there are. */
  readonly reply?: Json;
  /** The attachments as Coze has them. */
  readonly brought?: BroughtFiles;
  /** The question was about to be sent: Coze may have it. */
  readonly asked?: { readonly conversationId: string; readonly at: number };
  /** Coze told the chat's id: the question is never sent again. */
  readonly chat?: ChatIds;
  /** Only a sentence is still to be said; `bury`: then the turn becomes a dead letter. */
  readonly telling?: { readonly code: ErrorCode; readonly bury: boolean };
  /** The answer stands on screen, in these messages. */
  readonly done?: { readonly messageKeys: readonly string[] };
}

/** A turn's checkpoint: what an earlier start left, and the one place that saves. */
export class Checkpoint {
  readonly #run: Pick<Run, "save">;
  #state: Progressed;

  /** @throws {RetryLater} when a newer bridge wrote it. */
  constructor(run: Pick<Run, "save" | "state">) {
    this.#run = run;
    this.#state = read(run.state);
  }

  get state(): Progressed {
    return this.#state;
  }

  /** Adds to what is known and makes it durable. `undefined` takes a part away. @throws {RunAborted} */
  async save(change: { readonly [K in keyof Progressed]: Progressed[K] | undefined }): Promise<void> {
    const next = { ...this.#state, ...change };
    this.#state = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined));
    // Plain JSON by construction: every part of it is.
    await this.#run.save({ v: CHECKPOINT_VERSION, ...this.#state } as unknown as Json);
  }
}

function read(state: Json | undefined): Progressed {
  if (typeof state !== "object" || state === null || Array.isArray(state)) return {};
  const { v, ...parts } = state as { readonly v?: Json } & Progressed;
  if (typeof v === "number" && v > CHECKPOINT_VERSION) {
    throw new RetryLater({
      counts: false,
      cause: new Error(`checkpoint has version ${v}, this bridge knows ${CHECKPOINT_VERSION}`),
    });
  }
  // The queue's own file or Redis holds it, fenced, and only this class writes it.
  return parts;
}
