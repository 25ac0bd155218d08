/** Runs work of the same lane one after the other, in the order of asking; lanes do not wait for each other. */
export class Lanes {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(lane: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(lane) ?? Promise.resolve();
    const running = before.then(work, work);
    const tail = running
      .catch(() => undefined)
      .finally(() => {
        if (this.#tails.get(lane) === tail) this.#tails.delete(lane);
      });
    this.#tails.set(lane, tail);
    return running;
  }
}
