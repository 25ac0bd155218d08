import { toChatLines } from "./chat-lines.ts";
import type { ChatView } from "./stand-in.ts";

/** The slice of `process.stdout` that is needed. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Redraws at most this often; a person sees no difference. */
const FRAME_MS = 60;
const DEFAULT_COLUMNS = 100;
const DEFAULT_ROWS = 40;

/** Shows one chat at a time: live on a terminal, once it is final elsewhere. */
export class ChatScreen {
  readonly #screen: Screen;
  readonly #live: boolean;
  readonly #color: boolean;
  /** Lines of the live chat that can still be redrawn. */
  #drawn = 0;
  /** Lines of the live chat that have scrolled away for good. */
  #frozen = 0;
  #timer: NodeJS.Timeout | undefined;
  #next: (() => { title: string; view: ChatView }) | undefined;

  /** @param options - What is wanted; elsewhere than on a terminal there is neither. */
  constructor(screen: Screen, options: { live: boolean; color: boolean }) {
    this.#screen = screen;
    this.#live = options.live && screen.isTTY === true;
    this.#color = options.color && screen.isTTY === true;
  }

  /** The chat has changed; it is drawn with the next frame. */
  update(chat: () => { title: string; view: ChatView }): void {
    if (!this.#live) return;
    this.#next = chat;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#draw();
    }, FRAME_MS);
  }

  /** The chat stands as it is now; what comes next is drawn below it. */
  settle(title: string, view: ChatView): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#live) {
      this.#next = () => ({ title, view });
      this.#draw();
    } else {
      this.#screen.write(`${this.#lines(title, view).join("\n")}\n`);
    }
    this.#screen.write("\n");
    this.#drawn = 0;
    this.#frozen = 0;
    this.#next = undefined;
  }

  /** Waits for somebody to type; without a terminal nobody needs to be asked. */
  ask(prompt: string): void {
    if (this.#live) this.#screen.write(prompt);
  }

  /** A line of ours between the chats. */
  say(text: string): void {
    this.#screen.write(`${text}\n`);
  }

  #lines(title: string, view: ChatView): readonly string[] {
    const width = Math.min(this.#screen.columns ?? DEFAULT_COLUMNS, DEFAULT_COLUMNS);
    return toChatLines(title, view, { width, color: this.#color });
  }

  #draw(): void {
    if (this.#next === undefined) return;
    const { title, view } = this.#next();
    const lines = this.#lines(title, view).slice(this.#frozen);
    const up = this.#drawn > 0 ? `\u001B[${this.#drawn}A\r\u001B[J` : "";
    this.#screen.write(`${up}${lines.map((line) => `${line}\n`).join("")}`);
    // Lines above the top of the terminal cannot be reached any more: they stay as they are.
    const room = (this.#screen.rows ?? DEFAULT_ROWS) - 2;
    const gone = Math.max(0, lines.length - room);
    this.#frozen += gone;
    this.#drawn = lines.length - gone;
  }
}
