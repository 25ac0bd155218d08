import type { FinishedReply, Reply, ReplyContent } from "./ports.ts";

/** A reply that is still being opened: shows the newest state as soon as there is a place for it. */
export class PromisedReply implements Reply {
  readonly #opening: Promise<Reply>;
  #reply: Reply | undefined;
  #latest: ReplyContent | undefined;
  /** The last state is known, or there will be none: drafts come too late. */
  #closed = false;

  constructor(opening: Promise<Reply>) {
    this.#opening = opening.then((reply) => {
      this.#reply = reply;
      if (this.#latest !== undefined) reply.show(this.#latest);
      return reply;
    });
    // `finish` and `abandon` see it.
    this.#opening.catch(() => undefined);
  }

  show(content: ReplyContent): void {
    if (this.#closed) return;
    if (this.#reply === undefined) this.#latest = content;
    else this.#reply.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    this.#close();
    return (await this.#opening).finish(content);
  }

  async abandon(): Promise<void> {
    this.#close();
    const reply = await this.#opening.catch(() => undefined);
    await reply?.abandon();
  }

  #close(): void {
    this.#closed = true;
    this.#latest = undefined;
  }
}
