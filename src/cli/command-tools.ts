import type { Abortable, Log } from "../core/ports.ts";

/** What the commands that look at stored turns get from the process. */
export interface CommandTools extends Abortable {
  readonly log: Log;
  /** For what was asked for: stdout. */
  readonly write: (text: string) => void;
  /** For what the operator should know besides: stderr. */
  readonly say: (text: string) => void;
}
