import type { Redis } from "ioredis";
import type { ConnectRedis } from "../../src/redis/redis-client.ts";
import { Connections } from "./on-redis.ts";

/** Commands that change nothing, or only set a connection up: dying at them shows nothing new. */
const QUIET = new Set(["info", "hello", "client", "ping", "time", "config", "subscribe", "bzpopmin", "quit"]);

/**
 * The connections of a process that dies at a chosen command: point 2n before the nth is sent, point 2n + 1 after
 * Redis did it, its answer lost.
 */
export class CrashingConnections {
  readonly #connections = new Connections((redis) => this.#guard(redis));
  readonly #crashAt: number;
  readonly #crashed = Promise.withResolvers<void>();
  #points = 0;
  #isDead = false;

  constructor(crashAt: number) {
    this.#crashAt = crashAt;
  }

  readonly connect: ConnectRedis = (url, options) => this.#connections.connect(url, options);

  /** Points passed so far. */
  get points(): number {
    return this.#points;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves at the crash, once no connection is left. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  #guard(redis: Redis): void {
    const send = redis.sendCommand.bind(redis);
    redis.sendCommand = (command, stream) => {
      if (QUIET.has(command.name)) return send(command, stream);
      if (this.#isDead || this.#isHere()) return this.#die();
      const answer = send(command, stream);
      return this.#isHere() ? this.#dieAfter(answer) : answer;
    };
  }

  #isHere(): boolean {
    const isHere = this.#points === this.#crashAt;
    this.#points += 1;
    return isHere;
  }

  async #dieAfter(answer: unknown): Promise<never> {
    await Promise.allSettled([answer]);
    return this.#die();
  }

  /** A dead process gets no answer, not even an error. */
  #die(): Promise<never> {
    if (!this.#isDead) {
      this.#isDead = true;
      void this.#connections.cut().then(() => this.#crashed.resolve());
    }
    return never();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
