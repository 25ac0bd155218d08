import { printable } from "./printable.ts";

/** Where a command's output goes. */
export interface Terminal {
  /** Somebody looks at stdout while it is written. */
  readonly interactive: boolean;
  /** For what was asked for: stdout. Made harmless where a terminal would obey it. */
  write(text: string): void;
  /** One line for people: stderr. */
  say(text: string): void;
  /** A line that the next one replaces, on a terminal only; nothing takes it away. */
  status(text?: string): void;
}

/** The slice of a stream that is needed. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const ERASE_LINE = "\r\u001B[2K";
/** A terminal that does not tell its width, in columns. */
const DEFAULT_COLUMNS = 80;

/** Seconds a status has to stand before it tells how long. */
const TELL_AFTER_S = 2;

export function openTerminal({ stdout, stderr }: { stdout: Output; stderr: Output }): Terminal {
  const interactive = stdout.isTTY === true;
  const live = stderr.isTTY === true;
  const line = new StatusLine(stderr);
  const status = (text?: string): void => {
    if (live) line.show(text);
  };
  return {
    interactive,
    status,
    write(text) {
      status();
      stdout.write(interactive ? printable(text) : text);
    },
    say(text) {
      status();
      stderr.write(`${live ? printable(text.trimEnd()) : text.trimEnd()}\n`);
    },
  };
}

/** A line that is written over, with the seconds it stands. */
class StatusLine {
  readonly #output: Output;
  #text: string | undefined;
  #seconds = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  show(text: string | undefined): void {
    if (text === this.#text) return;
    clearInterval(this.#timer);
    this.#text = text;
    this.#seconds = 0;
    this.#draw();
    if (text === undefined) return;
    this.#timer = setInterval(() => {
      this.#seconds += 1;
      this.#draw();
    }, 1_000).unref();
  }

  #draw(): void {
    const waited = this.#seconds < TELL_AFTER_S ? "" : ` ${this.#seconds} s`;
    const text = this.#text === undefined ? "" : printable(this.#text + waited);
    // Half of the columns always fits, however wide the characters are.
    const columns = Math.floor((this.#output.columns || DEFAULT_COLUMNS) / 2);
    this.#output.write(`${ERASE_LINE}${Array.from(text).slice(0, columns).join("")}`);
  }
}
