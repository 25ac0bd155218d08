import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { makeTestFolder } from "./queue/embedded.ts";

/** How long a server may take to answer, in ms; far above what it needs. */
const START_WAIT_MS = 10_000;

export interface RedisServerOptions {
  /** Append-only file with `everysec`, default true. */
  readonly aof?: boolean;
  /** E.g. `10mb`; default no limit. */
  readonly maxmemory?: string;
  /** `maxmemory-policy`, default `noeviction`. */
  readonly policy?: string;
  /** More arguments, e.g. `["--requirepass", "x"]`. */
  readonly args?: readonly string[];
}

/** A Redis of its own on a free loopback port, its data in a temporary folder; gone when disposed. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the newest process. */
  readonly pid: number;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data, after `kill`. */
  restart(): Promise<void>;
  /** Stops its process where it stands, its connections stay. */
  freeze(): void;
  thaw(): void;
}

/**
 * Starts `redis-server` (or `valkey-server`) from the PATH.
 *
 * @throws {Error} saying how to get it when there is none.
 */
export async function startRedis(options: RedisServerOptions = {}): Promise<TestRedis> {
  const folder = await makeTestFolder();
  const port = await freePort();
  const start = (): Promise<ChildProcess> => startServer(port, folder.path, options);
  let server = await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid ?? 0;
    },
    kill: () => kill(server),
    restart: async () => {
      await kill(server);
      server = await start();
    },
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      await kill(server);
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function startServer(
  port: number,
  folder: string,
  { aof = true, maxmemory, policy = "noeviction", args = [] }: RedisServerOptions,
): Promise<ChildProcess> {
  const settings = [
    ...[
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--loglevel",
      "warning",
    ],
    ...["--appendonly", aof ? "yes" : "no", "--appendfsync", "everysec", "--maxmemory-policy", policy],
    ...(maxmemory === undefined ? [] : ["--maxmemory", maxmemory]),
    ...args,
  ];
  for (const binary of ["redis-server", "valkey-server"]) {
    const server = spawn(binary, settings, { stdio: "ignore" });
    if (!(await isStarted(server))) continue;
    await waitForAnswer(port, server);
    return server;
  }
  throw new Error(
    "the tests need a Redis of their own: apt-get install redis-server (macOS: brew install redis)",
  );
}

async function isStarted(server: ChildProcess): Promise<boolean> {
  try {
    await once(server, "spawn");
    return true;
  } catch {
    // Not on the PATH; the caller says so when no other name works either.
    return false;
  }
}

/** Until it answers PING: while it loads its data it answers something else. */
async function waitForAnswer(port: number, server: ChildProcess): Promise<void> {
  const until = Date.now() + START_WAIT_MS;
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
    if (Date.now() > until) throw new Error(`redis-server does not answer on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    // A server with a password answers -NOAUTH: it is up all the same.
    socket.once("data", (data) => end(/^(\+PONG|-NOAUTH)/.test(data.toString())));
    socket.once("error", () => end(false));
  });
}

async function kill(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
}

/** A port on loopback that nobody has right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
