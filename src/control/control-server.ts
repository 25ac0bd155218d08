import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import type { Json } from "../core/json.ts";
import type { Log } from "../core/ports.ts";
import { linesOf } from "../lines.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { CONTROL_REQUEST, type ControlRequest, MAX_REQUEST_CHARACTERS } from "./protocol.ts";

/** Commands served at once; they are typed by hand. */
const MAX_CONNECTIONS = 8;
/** A connection that says nothing is closed after this long, in ms. */
const IDLE_MS = 30_000;

export interface ControlServerOptions {
  /** Where the socket is made. What a killed process left there is taken away: its folder is locked by us. */
  readonly path: string;
  readonly deadLetters: DeadLetters;
  readonly log: Log;
}

/**
 * Serves the commands of `coze-bridge` that look into a running bridge: one request and one answer per line, both
 * JSON, on a socket that only our user may open. Where no socket can be made the bridge runs without.
 */
export async function openControlServer(options: ControlServerOptions): Promise<AsyncDisposable> {
  const { path, log } = options;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serve(socket, options).catch((error: unknown) => {
      log.debug({ err: error }, "a command went away");
      socket.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await rm(path, { force: true });
    server.listen(path);
    await once(server, "listening");
    await chmod(path, 0o600);
  } catch (error) {
    // Most often a path that is too long for a socket (107 bytes on Linux).
    log.warn({ err: error, path }, "no control socket: commands like `dead` need the bridge to be stopped");
    server.close();
  }
  return {
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(socket: Socket, { deadLetters, log }: ControlServerOptions): Promise<void> {
  socket.on("error", (error) => log.debug({ err: error }, "a command went away"));
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  for await (const line of linesOf(socket.setEncoding("utf8"), MAX_REQUEST_CHARACTERS)) {
    socket.write(`${JSON.stringify(await answer(line, deadLetters, log))}\n`);
  }
  socket.end();
}

async function answer(line: string, deadLetters: DeadLetters, log: Log): Promise<Json> {
  try {
    const request = CONTROL_REQUEST.safeParse(JSON.parse(line));
    if (!request.success) return { ok: false, error: "this bridge does not know that request" };
    log.info({ command: request.data.command }, "an operator's command");
    return { ok: true, result: toJson(await act(request.data, deadLetters)) };
  } catch (error) {
    log.warn({ err: error }, "an operator's command failed");
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function act(request: ControlRequest, letters: DeadLetters): Promise<unknown> {
  switch (request.command) {
    case "dead.list":
      return letters.list(request.limit);
    case "dead.show":
      return letters.show(request.id, request);
    case "dead.retry":
      return letters.retry(request.ids);
    case "dead.drop":
      return letters.drop(request.ids);
  }
}

/** What `undefined` becomes is null; all else of an answer is plain. */
function toJson(value: unknown): Json {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);
}
