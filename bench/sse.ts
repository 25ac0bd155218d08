/**
 * What Coze's streams cost to read: `npm run bench:sse`. Our client beside Coze's own (`@coze/api`), each in a process of
 * its own, in turn, fed over loopback by a third: a long stream as fast as it is taken, then a thousand at once.
 *
 * `npm run bench:sse -- one` (`crowd`) runs one part.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, toTable } from "./pacing/numbers.ts";
import { installPeer, PEER_FOLDER, peerVersions } from "./pacing/peer-packages.ts";
import type { Usage } from "./pacing/probe.ts";
import type { Order, Result } from "./sse/reading.ts";
import { KINDS, type Kind, makeStream } from "./sse/streams.ts";

const ROUNDS = 15;
/** Rounds before those that count: each program compiles what it runs often. */
const WARM_UP = 3;
const MEGABYTE = 1_000_000;
const SIZES = [1, 16];
const CROWD = 1_000;
const CROWD_ROUNDS = 3;

const HERE = join(import.meta.dirname, "sse");
const PROGRAMS = {
  "coze-bridge": join(HERE, "bridge-reader.ts"),
  "@coze/api": join(PEER_FOLDER, "reader.js"),
} as const;
type Row = Readonly<Record<string, string | number>>;
type Name = keyof typeof PROGRAMS;
const NAMES = Object.keys(PROGRAMS) as Name[];

/** A crowd as its reader and the far end saw it. */
interface Crowd extends Result {
  readonly far: Usage;
}

/** A process that tells one thing when it is ready, and answers orders. */
class Child implements Disposable {
  readonly #process: ChildProcess;
  readonly #gone: Promise<unknown[]>;

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.#gone = once(process, "exit");
  }

  static async start(script: string): Promise<{ child: Child; first: unknown }> {
    const child = new Child(fork(script));
    return { child, first: await child.#answer() };
  }

  /** @returns What the process answers: a reader a {@link Result}, the far end its {@link Usage}. */
  ask(order: Order | "usage"): Promise<unknown> {
    this.#process.send(order);
    return this.#answer();
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL");
  }

  async #answer(): Promise<unknown> {
    const gone = Symbol("gone");
    const [message] = await Promise.race([once(this.#process, "message"), this.#gone.then(() => [gone])]);
    if (message === gone) throw new Error(`${this.#process.spawnargs.at(-1)} ended`);
    return message;
  }
}

/** One stream at a time, as fast as it is read: the programs in turn, round by round. */
async function measureOne(url: string, kind: Kind, megabytes: number): Promise<Row> {
  const started = await Promise.all(NAMES.map((name) => Child.start(PROGRAMS[name])));
  using stack = new DisposableStack();
  const children = new Map(started.map(({ child }, index) => [NAMES[index], stack.use(child)]));
  const { bytes, deltas, characters } = makeStream(kind, megabytes * MEGABYTE);
  const results: Record<Name, Result[]> = { "coze-bridge": [], "@coze/api": [] };
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed()) {
      const result = (await children
        .get(name)
        ?.ask({ baseUrl: `${url}/${kind}/${megabytes}`, streams: 1 })) as Result;
      if (result.deltas !== deltas || result.characters !== characters)
        throw new Error(`${name} read ${result.deltas} deltas of ${deltas}, ${result.characters} characters`);
      if (round >= 0) results[name].push(result);
    }
  }
  const rate = ({ ms }: Result): number => bytes / MEGABYTE / (ms / 1_000);
  const cpu = ({ cpuMs }: Result): number => (cpuMs / deltas) * 1_000;
  return {
    stream: `${kind}, ${megabytes} MB`,
    deltas,
    "MB/s": NAMES.map((name) => median(results[name].map(rate)).toFixed(1)).join(" / "),
    "MB/s, ratio": ratio(results, rate).toFixed(2),
    "CPU ms per 1,000 deltas": NAMES.map((name) => median(results[name].map(cpu)).toFixed(2)).join(" / "),
    "CPU, ratio": ratio(results, cpu).toFixed(2),
  };
}

/** Ours ÷ theirs, round by round: what else the machine does in a round slows both. */
function ratio(results: Record<Name, Result[]>, figure: (result: Result) => number): number {
  const theirs = results["@coze/api"].map(figure);
  return median(
    results["coze-bridge"].map((result, round) => figure(result) / (theirs[round] ?? Number.NaN)),
  );
}

/** A thousand streams at once, each with a delta every 30 ms for 15 s: the programs in turn, a fresh process each. */
async function measureCrowd(server: Child, url: string): Promise<Row[]> {
  const results: Record<Name, Crowd[]> = { "coze-bridge": [], "@coze/api": [] };
  for (let round = 0; round < CROWD_ROUNDS; round += 1) {
    for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed()) {
      using program = (await Child.start(PROGRAMS[name])).child;
      await program.ask({ baseUrl: `${url}/answer/1`, streams: 1 });
      await server.ask("usage");
      const result = (await program.ask({ baseUrl: `${url}/paced`, streams: CROWD })) as Result;
      results[name].push({ ...result, far: (await server.ask("usage")) as Usage });
    }
  }
  return NAMES.map((name) => {
    const middle = (figure: (result: Crowd) => number): number => median(results[name].map(figure));
    return {
      program: name,
      deltas: middle(({ deltas }) => deltas),
      "took, s": middle(({ ms }) => ms / 1_000).toFixed(1),
      "CPU per delta, µs": middle(({ cpuMs, deltas }) => (cpuMs / deltas) * 1_000).toFixed(1),
      "its CPU": `${middle(({ cpuMs, ms }) => (cpuMs / ms) * 100).toFixed(0)} %`,
      "RSS per stream, KB": middle(({ rssBytes }) => rssBytes / CROWD / 1_000).toFixed(0),
      "loop p99, ms": middle(({ loopP99Ms }) => loopP99Ms).toFixed(0),
      "far end's CPU": `${middle(({ far, ms }) => (far.cpuMs / ms) * 100).toFixed(0)} %`,
      "far end's loop p99, ms": middle(({ far }) => far.loopP99Ms).toFixed(0),
    };
  });
}

const { positionals } = parseArgs({ allowPositionals: true });
const [only] = positionals;
await installPeer((text) => console.error(text));
const load = (): string => loadavg()[0]?.toFixed(1) ?? "";
console.log(`Node ${process.version}, @coze/api ${peerVersions()["@coze/api"]}, load ${load()} before`);
const { child: server, first } = await Child.start(join(HERE, "server.ts"));
try {
  const { url } = first as { url: string };
  if (only !== "crowd") {
    const rows: Row[] = [];
    for (const kind of KINDS)
      for (const megabytes of SIZES) rows.push(await measureOne(url, kind, megabytes));
    console.log(
      `\nOne stream at a time, medians of ${ROUNDS} rounds in turn; coze-bridge / @coze/api\n\n${toTable(rows)}`,
    );
  }
  if (only !== "one") {
    const rows = await measureCrowd(server, url);
    console.log(`\n${CROWD} streams at once, medians of ${CROWD_ROUNDS} rounds in turn\n\n${toTable(rows)}`);
  }
} finally {
  server[Symbol.dispose]();
}
console.log(`\nload ${load()} after`);
