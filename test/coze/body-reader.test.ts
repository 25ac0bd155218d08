import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { BodyReader } from "../../src/coze/body-reader.ts";
import { Deadline } from "../../src/coze/deadline.ts";

const PIECE = 16 * 1024;
const PIECES = 200;

function aReader(body: Readable, deadline: Deadline): BodyReader {
  return new BodyReader(body, { deadline, idleMs: () => 60_000, toError: () => new Error("silence") });
}

it("holds the other side back while nobody reads, and loses nothing", async () => {
  let made = 0;
  const body = new Readable({
    read() {
      made += 1;
      this.push(made > PIECES ? null : Buffer.alloc(PIECE, made));
    },
  });
  using deadline = new Deadline(new AbortController().signal);
  using reader = aReader(body, deadline);
  for (let turn = 0; turn < 2 * PIECES; turn += 1) await nextTurn();
  expect(made).toBeLessThan(20);
  const bytes: Uint8Array[] = [];
  for await (const piece of reader) bytes.push(piece);
  const marks = bytes.map(([mark]) => mark);
  expect(marks).toEqual(Array.from({ length: PIECES }, (_, index) => (index + 1) % 256));
});

it("gives what came before the body broke, then the error", async () => {
  const body = new Readable({ read: () => undefined });
  using deadline = new Deadline(new AbortController().signal);
  using reader = aReader(body, deadline);
  body.push("all there was");
  await nextTurn();
  body.destroy(new Error("reset"));
  await nextTurn();
  expect(Buffer.concat(await reader.next()).toString()).toBe("all there was");
  await expect(reader.next()).rejects.toThrow("reset");
});

it("ends with the reason of an abort, and the body with it", async () => {
  const controller = new AbortController();
  const body = new Readable({ read: () => undefined });
  using deadline = new Deadline(controller.signal);
  using reader = aReader(body, deadline);
  const waiting = reader.next();
  controller.abort(new Error("nobody wants it"));
  await expect(waiting).rejects.toThrow("nobody wants it");
  expect(body.destroyed).toBe(true);
});

it("leaves the body's connection when it is disposed early", async () => {
  const body = new Readable({ read: () => undefined });
  using deadline = new Deadline(new AbortController().signal);
  aReader(body, deadline)[Symbol.dispose]();
  await nextTurn();
  expect(body.destroyed).toBe(true);
});
