import type { AdapterTools, Log } from "../../src/core/ports.ts";
import type { SlackSelf } from "./normalize.ts";
import type { SlackPacer } from "./pacer.ts";
import type { SlackSettings } from "./settings.ts";
import type { SlackWebApi } from "./web-api.ts";

/** What the parts of the adapter share. */
export interface SlackContext {
  readonly settings: SlackSettings;
  readonly tools: AdapterTools;
  readonly log: Log;
  readonly api: SlackWebApi;
  readonly pacer: SlackPacer;
  readonly latches: Latches;
  /** Who we are; asked once. @throws {PlatformError} */
  readonly self: (options: { signal: AbortSignal }) => Promise<SlackSelf>;
  /** Nobody wants this turn's answer any more: its question is gone, or its asker pressed stop. */
  readonly onGone: (dedupeKey: string) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a workspace turned out not to have; each is logged once. */
export class Latches {
  readonly #off = new Set<string>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  isOff(feature: string, team: string): boolean {
    return this.#off.has(`${feature}:${team}`);
  }

  turnOff(feature: string, team: string, why: unknown): void {
    if (this.isOff(feature, team)) return;
    this.#off.add(`${feature}:${team}`);
    this.#log.warn({ feature, team, err: why }, "slack feature is not available in this workspace");
  }
}
