/** Far more than come in the moment an id has to be remembered for. */
const MAX_IDS = 1_000;

/** The newest ids of many, bounded. */
export class RecentIds {
  readonly #ids = new Set<string>();

  add(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_IDS && oldest !== undefined) this.#ids.delete(oldest);
  }

  clear(): void {
    this.#ids.clear();
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}
