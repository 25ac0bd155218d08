import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import type { z } from "zod";
import { BridgeError } from "../core/errors.ts";
import type { Abortable } from "../core/ports.ts";
import type { DeadLetters } from "./dead-letters.ts";
import {
  CONTROL_ANSWER,
  type ControlRequest,
  DEAD_LETTER_CHANGE,
  DEAD_LETTER_DETAILS,
  DEAD_LETTERS,
  MAX_ANSWER_CHARACTERS,
} from "./protocol.ts";

/** The dead letters of a bridge that runs, by its control socket. */
export interface ControlClient extends DeadLetters, Disposable {}

/**
 * Connects to a running bridge.
 *
 * @returns `undefined` when nobody listens there.
 * @throws {BridgeError} `QUEUE_OWNED` when the socket can't be used.
 */
export async function openControlClient(
  path: string,
  { signal }: Abortable,
): Promise<ControlClient | undefined> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect", { signal });
  } catch (error) {
    socket.destroy();
    if (isNobodyThere(error)) return undefined;
    throw new BridgeError("QUEUE_OWNED", `the running bridge can't be asked at ${path}`, { cause: error });
  }
  const ask = async <T>(request: ControlRequest, result: z.ZodType<T>): Promise<T> => {
    socket.write(`${JSON.stringify(request)}\n`);
    return readAnswer(await readLine(socket, signal), result);
  };
  return {
    list: (limit) => ask({ command: "dead.list", limit }, DEAD_LETTERS),
    show: async (id, { text }) =>
      (await ask({ command: "dead.show", id, text }, DEAD_LETTER_DETAILS)) ?? undefined,
    retry: (ids) => ask({ command: "dead.retry", ids }, DEAD_LETTER_CHANGE),
    drop: (ids) => ask({ command: "dead.drop", ids }, DEAD_LETTER_CHANGE),
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** No socket, or one that a killed process left behind. */
function isNobodyThere(error: unknown): boolean {
  const gone = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "EINVAL", "ENAMETOOLONG"];
  return error instanceof Error && "code" in error && gone.includes(String(error.code));
}

async function readLine(socket: Socket, signal: AbortSignal): Promise<string> {
  socket.setEncoding("utf8");
  const ended = once(socket, "close", { signal }).then(() => Promise.reject(unanswered()));
  // Only one of the two is waited for in the end.
  ended.catch(() => undefined);
  for (let text = ""; ; ) {
    const [chunk] = (await Promise.race([once(socket, "data", { signal }), ended])) as [unknown];
    text += String(chunk);
    const end = text.indexOf("\n");
    if (end !== -1) return text.slice(0, end);
    if (text.length > MAX_ANSWER_CHARACTERS) throw unanswered();
  }
}

function readAnswer<T>(line: string, result: z.ZodType<T>): T {
  const answer = CONTROL_ANSWER.parse(JSON.parse(line));
  if (!answer.ok) throw new BridgeError("QUEUE_UNAVAILABLE", `the running bridge says: ${answer.error}`);
  return result.parse(answer.result);
}

function unanswered(): BridgeError {
  return new BridgeError("QUEUE_UNAVAILABLE", "the running bridge went away before it had answered", {
    retryable: true,
  });
}
