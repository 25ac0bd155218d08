/**
 * The far end of `npm run bench:sse`, a process of its own: `POST /KIND/MEGABYTES/v3/chat` sends that stream as fast as
 * it is read, `POST /paced/v3/chat` a delta now and then. Says its address to its parent, and
 * when asked what it used since it was asked last.
 */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { startUsage } from "../pacing/probe.ts";
import { KINDS, type Kind, makeStream, type RecordedStream } from "./streams.ts";

const MEGABYTE = 1_000_000;
/** As much goes into one write: what a proxy's buffer holds. */
const WRITE_BYTES = 16 * 1024;
/** Every stream of the crowd gets a delta this often, for so long, in ms. */
const PACED_EVERY_MS = 30;
const PACED_FOR_MS = 15_000;

const streams = new Map<string, RecordedStream>();

function streamOf(kind: Kind, megabytes: number): RecordedStream {
  const key = `${kind}/${megabytes}`;
  const stream = streams.get(key) ?? makeStream(kind, megabytes * MEGABYTE);
  streams.set(key, stream);
  return stream;
}

async function sendAtOnce(response: ServerResponse, { frames }: RecordedStream): Promise<void> {
  const bytes = Buffer.concat(frames);
  for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
    if (!response.write(bytes.subarray(at, at + WRITE_BYTES))) await once(response, "drain");
  }
  response.end();
}

/** Each delta at its time on the stream's own clock, which starts anywhere within the first gap. */
async function sendPaced(response: ServerResponse, { frames }: RecordedStream): Promise<void> {
  const deltas = Math.floor(PACED_FOR_MS / PACED_EVERY_MS);
  const start = performance.now() + Math.random() * PACED_EVERY_MS;
  const head = frames.slice(0, 2);
  const tail = frames.slice(-2);
  for (const frame of head) response.write(frame);
  for (let index = 0; index < deltas; index += 1) {
    await sleep(Math.max(0, start + index * PACED_EVERY_MS - performance.now()));
    response.write(frames[2 + index] ?? "");
  }
  for (const frame of tail) response.write(frame);
  response.end();
}

if (process.send !== undefined) {
  const server = createServer((request, response) => {
    const [, kind = "", megabytes = ""] = request.url?.split("/") ?? [];
    request.resume();
    response.writeHead(200, { "content-type": "text/event-stream" });
    const known = KINDS.find((name) => name === kind);
    void (known === undefined
      ? sendPaced(response, streamOf("answer", 1))
      : sendAtOnce(response, streamOf(known, Number(megabytes))));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const usage = startUsage();
  let spentMs = 0;
  process.on("message", () => {
    const now = usage();
    process.send?.({ ...now, cpuMs: now.cpuMs - spentMs });
    spentMs = now.cpuMs;
  });
  process.send({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  // The bench is gone when the channel closes, whatever ended it.
  process.once("disconnect", () => process.exit());
}
