import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Something that one process sends to Redis. */
export interface TapPoint {
  /** Bytes that only this command has; one of them is enough. */
  readonly sends: readonly string[];
  /**
   * Before Redis has it, or when it has happened and its answer is on the way: then the line is held for good. In
   * passing, every time: nothing is held.
   */
  readonly when: "before" | "after" | "passing";
  readonly met: () => void;
}

/** The line between one process and Redis, where it can be watched and held. */
export interface RedisTap extends AsyncDisposable {
  readonly url: string;
  readonly points: Set<TapPoint>;
}

/** Sent behind a command: its answer comes when that command is done. */
const MARK = "the end of the command";
const MARK_COMMAND = `*2\r\n$4\r\nECHO\r\n$${MARK.length}\r\n${MARK}\r\n`;

/** Opens a port that leads to the Redis on another one. */
export async function tapRedis(port: number): Promise<RedisTap> {
  const points = new Set<TapPoint>();
  const lines = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    tie(near, far, lines);
    tie(far, near, lines);
    let held: TapPoint | undefined;
    near.on("data", (bytes) => {
      if (held !== undefined) return;
      const met = [...points].filter(({ sends }) => sends.some((part) => bytes.includes(part)));
      for (const point of met) if (point.when === "passing") point.met();
      held = met.find(({ when }) => when !== "passing");
      if (held === undefined) far.write(bytes);
      else if (held.when === "before") held.met();
      else far.write(Buffer.concat([bytes, Buffer.from(MARK_COMMAND)]));
    });
    far.on("data", (bytes) => {
      if (held === undefined) near.write(bytes);
      else if (bytes.includes(MARK)) held.met();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server on a port has such an address.
  const { port: ownPort } = server.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${ownPort}`,
    points,
    async [Symbol.asyncDispose]() {
      for (const line of lines) line.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** One end of a line goes with the other. */
function tie(line: Socket, other: Socket, lines: Set<Socket>): void {
  lines.add(line);
  line.setNoDelay(true);
  // Its `close` follows.
  line.on("error", () => undefined);
  line.on("close", () => {
    lines.delete(line);
    other.destroy();
  });
}
