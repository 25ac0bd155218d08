import type { FinishedReply, Reply, ReplyContent } from "./ports.ts";

/** A reply that is still being opened: shows the newest state as soon as there is a place for it. */
export class PromisedReply implements Reply {
  readonly #opening: Promise<Reply>;
  #reply: Reply | undefined;
  #latest: ReplyContent | undefined;

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
    if (this.#reply === undefined) this.#latest = content;
    else this.#reply.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    this.#latest = undefined;
    return (await this.#opening).finish(content);
  }

  async abandon(): Promise<void> {
    this.#latest = undefined;
    const reply = await this.#opening.catch(() => undefined);
    await reply?.abandon();
  }
}
