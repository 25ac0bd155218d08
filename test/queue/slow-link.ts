import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { MAILBOX_SCRIPTS, type MailboxScript } from "../../src/queue/mailbox-scripts.ts";
import { type ConnectRedis, connectRedis } from "../../src/redis/redis-client.ts";

/** A connection whose commands can get stuck on their way, in order. */
export class SlowLink {
  readonly #holding = Promise.withResolvers<void>();
  readonly #held: (() => unknown)[] = [];
  #holdFrom: string | undefined;
  #isHolding = false;

  readonly connect: ConnectRedis = (url, options) => {
    const redis = connectRedis(url, options);
    return options.name === "queue" ? this.#slow(redis) : redis;
  };

  /** Resolves once something is held. */
  get holding(): Promise<void> {
    return this.#holding.promise;
  }

  /** From the next use of this script on nothing gets through. */
  holdFrom(script: MailboxScript): void {
    this.#holdFrom = createHash("sha1").update(MAILBOX_SCRIPTS[script]).digest("hex");
  }

  /** Sends what was held, and resolves once it is answered. */
  async letGo(): Promise<void> {
    this.#isHolding = false;
    this.#holdFrom = undefined;
    await Promise.allSettled(this.#held.splice(0).map((send) => send()));
  }

  #slow(redis: Redis): Redis {
    const send = redis.sendCommand.bind(redis);
    redis.sendCommand = (command, stream) => {
      if (command.name === "evalsha" && command.args[0] === this.#holdFrom) {
        this.#isHolding = true;
        this.#holding.resolve();
      }
      if (!this.#isHolding) return send(command, stream);
      this.#held.push(() => send(command, stream));
      return command.promise;
    };
    return redis;
  }
}
