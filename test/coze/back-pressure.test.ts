import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import { toChatRequest } from "../../src/coze/question.ts";
import { aQuestion, CLOCK, KeptLog, noAbort } from "./coze-kit.ts";
import { COMPLETED, CREATED, DONE, delta, packet } from "./wire-make.ts";

const MIB = 1024 * 1024;
const DELTA = packet(delta("x".repeat(16 * 1024)));
/** What Coze wants to say: 256 MiB. */
const DELTAS = Math.ceil((256 * MIB) / DELTA.length);
/** What two sockets' buffers in the kernel and one piece of the body may hold. */
const MAX_AHEAD_BYTES = 16 * MIB;
/** So many turns of the loop that both ends run on without a byte: nothing more will go. */
const STALLED_TURNS = 500;

/** A Coze that writes as fast as it is taken, and counts. */
class Torrent implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    request.resume();
    void this.#pour(response.writeHead(200, { "content-type": "text/event-stream" }));
  });
  /** Bytes of deltas that the kernel took. */
  pushedBytes = 0;

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    // A listening TCP server has such an address.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when the other side takes no more, or all of it. */
  async stall(): Promise<void> {
    for (let turns = 0, seen = -1; turns < STALLED_TURNS; turns += 1) {
      if (this.pushedBytes !== seen) turns = 0;
      seen = this.pushedBytes;
      await nextTurn();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #pour(response: ServerResponse): Promise<void> {
    response.write(packet(CREATED));
    for (let count = 0; count < DELTAS; count += 1) {
      const failed = await new Promise((resolve) => response.write(DELTA, resolve));
      if (failed) return;
      this.pushedBytes += DELTA.length;
    }
    response.end(packet(COMPLETED, DONE));
  }
}

it.each(["stream", "events"] as const)(
  "a reader of %s that stops holds Coze back, and misses nothing when it goes on",
  async (way) => {
    await using coze = new Torrent();
    await using client = createCozeClient({
      ...{ baseUrl: await coze.listen(), tokens: staticToken("token"), log: new KeptLog() },
      ...{ gates: new Gates(CLOCK), chatsPerSecond: 20 },
    });
    let deltas = 0;
    let last: unknown;
    for await (const event of client.chats[way](toChatRequest(aQuestion(), client.flavor), {
      signal: noAbort(),
    })) {
      last = event;
      if (event.type !== "delta") continue;
      deltas += 1;
      if (deltas !== 1 && deltas !== DELTAS >> 1) continue;
      // Here the reader stops.
      await coze.stall();
      expect(coze.pushedBytes - deltas * DELTA.length).toBeLessThan(MAX_AHEAD_BYTES);
    }
    expect(deltas).toBe(DELTAS);
    expect(last).toEqual({ type: "end" });
    expect(coze.pushedBytes).toBe(DELTAS * DELTA.length);
  },
);
