import { once } from "node:events";
import { appendFile, truncate } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import { FormReader } from "../../sandbox/coze/form.ts";
import { splitEvery } from "../../sandbox/coze/sse-bytes.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { Gates } from "../../src/core/gate.ts";
import type { BroughtFile } from "../../src/core/ports.ts";
import { staticToken, type TokenSource } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import type { StoredFile } from "../../src/coze/stored.ts";
import { readAsText, toFileKind, toUploadName } from "../../src/coze/upload/file-kind.ts";
import {
  aFile,
  aQuestion,
  ask,
  CLOCK,
  type CozePair,
  errorOf,
  KeptLog,
  newConversation,
  noAbort,
  openPair,
} from "./coze-kit.ts";
import { CFB, DOCX, EXE, GZ, JPG, OPUS, PDF, PNG } from "./file-bytes.ts";

async function upload(
  { source }: CozePair,
  content: string | Uint8Array,
  name: string,
): Promise<BroughtFile> {
  await using file = await aFile(content);
  const brought = await source.upload(file, { name, signal: noAbort() });
  return brought;
}

const names = ({ coze }: CozePair): string[] => [...coze.service.files.values()].map(({ name }) => name);

describe("upload goes by content", () => {
  it.each([
    ["photo.png", PNG, "image", "photo.png"],
    ["photo.jpeg", JPG, "image", "photo.jpg"],
    ["photo.txt", PNG, "image", "photo.png"],
    ["no extension", PDF, "file", "no extension.pdf"],
    ["报告 2026.docx", DOCX, "file", "报告 2026.docx"],
    ["old.XLS", CFB, "file", "old.xls"],
    ["voice-message.opus", OPUS, "file", "voice-message.ogg"],
    ["voice.oga", OPUS, "file", "voice.ogg"],
    ["log.gz", GZ, "file", "log.gz"],
    ["table.csv", "a,b\n1,2\n", "file", "table.csv"],
    ["../../etc/passwd.py", "print(1)", "file", "passwd.py"],
    ["C:\\Users\\a\\x.pdf", PDF, "file", "x.pdf"],
  ])("%s is sent as what it is", async (name, content, kind, sent) => {
    await using pair = await openPair();
    const brought = await upload(pair, content, name);
    expect(names(pair)).toEqual([sent]);
    expect(brought).toEqual({ kind, fileId: [...pair.coze.service.files.keys()][0] });
  });

  it.each([
    ["empty.png", "", "FILE_EMPTY"],
    ["setup.exe", EXE, "FILE_TYPE"],
    ["setup.png", EXE, "FILE_TYPE"],
    ["mail.msg", CFB, "FILE_TYPE"],
    ["random.bin", new Uint8Array([1, 2, 3, 4, 200, 0, 7]), "FILE_TYPE"],
    ["big.txt", "a".repeat(65_537), "FILE_TOO_LARGE"],
  ])("%s is refused before anything is sent", async (name, content, code) => {
    await using pair = await openPair();
    expect(await errorOf(upload(pair, content, name))).toMatchObject({ code });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("sends a file with its length and under the one name Coze takes", async () => {
    await using pair = await openPair();
    await upload(pair, PNG, "图片.png");
    const [exchange] = pair.coze.traffic.exchanges;
    expect(exchange?.request).toEqual({
      query: {},
      parts: [{ field: "file", name: "图片.png", bytes: PNG.length }],
    });
    expect(Number(exchange?.headers?.["content-length"])).toBeGreaterThan(PNG.length);
  });
});

describe("small text files go into the question", () => {
  it.each([
    ["notes.md", Buffer.from("# 你好\n"), "# 你好\n"],
    ["with-mark.txt", Buffer.from("\uFEFFhello"), "hello"],
    ["old-chinese.txt", Buffer.from([0xc4, 0xe3, 0xba, 0xc3]), "你好"],
    ["page.html", Buffer.from("<!doctype html><p>x</p>"), "<!doctype html><p>x</p>"],
    ["feed.xml", Buffer.from('<?xml version="1.0"?><a/>'), '<?xml version="1.0"?><a/>'],
  ])("%s is read", async (name, content, text) => {
    await using pair = await openPair();
    expect(await upload(pair, content, name)).toEqual({ kind: "text", name, text });
  });

  it("and cannot leave the fence they stand in", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const text = "```js\ncode\n```";
    await ask(
      pair.source,
      aQuestion({ conversationId, text: "Read this", files: [{ kind: "text", name: "a.md", text }] }),
    );
    const [question] = pair.coze.service.conversations.get(conversationId)?.messages ?? [];
    expect(question?.contentType).toBe("text");
    expect(question?.content).toBe(`Read this\n\na.md:\n\`\`\`\`\n${text}\n\`\`\`\``);
  });

  it("are no text when they hold what no text holds, or are too long", async () => {
    await using binary = await aFile(new Uint8Array([65, 0, 66]));
    expect(await readAsText(binary)).toBeUndefined();
    await using long = await aFile("a".repeat(65_537));
    expect(await readAsText(long)).toBeUndefined();
    await using longest = await aFile("a".repeat(65_536));
    expect(await readAsText(longest)).toHaveLength(65_536);
  });

  it("are told from longer ones although a character is cut where we stop reading", async () => {
    await using pair = await openPair();
    for (const character of ["界", "é"]) {
      const csv = `x${character.repeat(40_000)}`;
      expect(await upload(pair, csv, "long.csv")).toMatchObject({ kind: "file" });
    }
  });
});

const CALL = "POST /v1/files/upload";

/** Uploads without a look at the kind that the bridge would take. */
async function send(
  pair: CozePair,
  source: Uint8Array | string | Readable,
  { name = "a.png", bytes = 0, ...options }: Partial<SendOptions> = {},
): Promise<StoredFile> {
  const all = { signal: noAbort(), ...options, name };
  if (source instanceof Readable) return pair.client.files.upload({ stream: source, bytes }, all);
  await using file = await aFile(source);
  const stored = await pair.client.files.upload(file, all);
  return stored;
}

interface SendOptions {
  readonly name: string;
  /** Of a stream. */
  readonly bytes: number;
  readonly signal: AbortSignal;
  readonly onProgress: (sentBytes: number) => void;
}

/** Speaks to the stand-in without the client. */
async function post({ coze }: CozePair, form: FormData | string): Promise<unknown> {
  const headers: Record<string, string> = { authorization: `Bearer ${STAND_IN_TOKEN}` };
  if (typeof form === "string") headers["content-type"] = "multipart/form-data; boundary=b";
  const answer: unknown = await (
    await fetch(`${coze.url}/v1/files/upload`, { method: "POST", headers, body: form })
  ).json();
  return answer;
}

function aForm(...parts: (readonly [field: string, name: string, content: Uint8Array | string])[]): FormData {
  const form = new FormData();
  for (const [field, name, content] of parts) form.append(field, new Blob([Buffer.from(content)]), name);
  return form;
}

describe("§22.38 what the service refuses of an upload", () => {
  it.each([
    [4000, "COZE_BAD_REQUEST"],
    [4300, "FILE_EMPTY"],
    [4301, "COZE_BAD_REQUEST"],
    [4302, "FILE_TOO_LARGE"],
    [4303, "FILE_TYPE"],
    [4304, "FILE_TYPE"],
  ])("has words of its own for %i", async (code, ours) => {
    await using pair = await openPair();
    pair.coze.faults.plan(CALL, { do: "answer", status: 200, body: { code, msg: "x" } });
    const error = await errorOf(send(pair, PNG));
    expect(error).toMatchObject({ code: ours, cozeCode: code, outcome: "refused" });
  });

  it.each([
    ["nothing", aForm(), 4300],
    ["an empty file", aForm(["file", "a.png", ""]), 4300],
    ["a part of another name", aForm(["data", "a.png", PNG]), 4300],
    ["two files", aForm(["file", "a.png", PNG], ["file", "b.png", PNG]), 4301],
    ["a file that is too large", aForm(["file", "a.png", Buffer.alloc(1_001)]), 4302],
    ["a text", aForm(["file", "a.txt", "text"]), 4303],
    ["a name without an extension", aForm(["file", "a", PNG]), 4303],
    ["another name than the content's", aForm(["file", "a.jpg", PNG]), 4000],
    ["a name that the content does not keep", aForm(["file", "a.png", "no png"]), 4000],
    ["no form", "--b", 4304],
    [
      "words before the form",
      'x\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.gif"\r\n\r\nGIF8\r\n--b--\r\n',
      4304,
    ],
    [
      "words after the form",
      '--b\r\ncontent-disposition: form-data; name="file"; filename="a.gif"\r\n\r\nGIF8\r\n--b--\r\nx',
      4304,
    ],
    ["half a form", '--b\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\nx', 4304],
    ["a part without a name", "--b\r\ncontent-type: image/png\r\n\r\nx\r\n--b--\r\n", 4304],
  ])("the stand-in refuses %s", async (_what, form, code) => {
    await using pair = await openPair({ switches: { maxUploadBytes: 1_000 } });
    expect(await post(pair, form)).toMatchObject({ code });
    expect(names(pair)).toEqual([]);
  });

  it("the stand-in reads a form however it is cut", () => {
    const content = "--b\r\n--\r\n-\r\n\r\n--a";
    const head = 'content-disposition: form-data; name="file"; filename="a%22b.png"';
    const form = Buffer.from(`--b\r\n${head}\r\n\r\n${content}\r\n--b--\r\n`);
    for (let size = 1; size <= form.length; size += 1) {
      const reader = new FormReader("b");
      for (const piece of splitEvery(form, size)) reader.push(Buffer.from(piece));
      expect(reader.end()).toEqual([
        { field: "file", name: 'a"b.png', head: Buffer.from(content), size: content.length },
      ]);
    }
  });

  it("of a stream nobody could look into is told by the service", async () => {
    await using pair = await openPair();
    const error = await errorOf(send(pair, Readable.from([PNG]), { name: "a.jpg", bytes: PNG.length }));
    expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4000, outcome: "refused" });
  });

  it("succeeds without `detail`, and when it takes longer than any other call may", async () => {
    await using pair = await openPair({ timeouts: { headersMs: 50 } });
    pair.coze.faults.plan(CALL, { do: "answer", status: 200, body: { code: 0, data: { id: "74" } } });
    expect(await send(pair, PNG)).toEqual({ fileId: "74", bytes: undefined, name: "", createdAt: undefined });
    pair.coze.faults.plan(CALL, { do: "delay", ms: 300 });
    expect(await send(pair, PNG)).toMatchObject({ name: "a.png" });
  });

  it("leaves the outcome open when the connection breaks after the body, and repeats nothing", async () => {
    await using pair = await openPair();
    pair.coze.faults.plan(CALL, { do: "commit-then-reset" });
    const error = await errorOf(send(pair, PNG));
    expect(error).toMatchObject({ code: "COZE_UNREACHABLE", outcome: "unknown" });
    expect(names(pair)).toEqual(["a.png"]);
    expect(pair.coze.traffic.exchanges).toHaveLength(1);
  });

  it("accepts plain text where the switch says so", async () => {
    await using pair = await openPair({ switches: { textFilesAccepted: true } });
    expect(await post(pair, aForm(["file", "a.txt", "text"]))).toMatchObject({ code: 0 });
  });
});

describe("files.upload", () => {
  it.each([
    ["empty.png", "", "FILE_EMPTY", "is empty"],
    ["notes.txt", "text", "FILE_TYPE", 'no files named like "notes.txt"'],
    ["setup.exe", EXE, "FILE_TYPE", "no files named like"],
    ["photo", PNG, "FILE_TYPE", "no files named like"],
    ["photo.jpg", PNG, "FILE_TYPE", 'holds png; upload it as "photo.png"'],
    ["photo.png", "no png", "FILE_TYPE", "holds plain text"],
    ["table.csv", EXE, "FILE_TYPE", "takes no exe files"],
    ["old.docx", CFB, "FILE_TYPE", "takes no cfb files"],
  ])("refuses %s before anything is sent, and says why", async (name, content, code, words) => {
    await using pair = await openPair();
    const error = await errorOf(send(pair, content, { name }));
    expect(error).toMatchObject({ code, outcome: "refused", retryable: false, cozeCode: undefined });
    expect(String(error)).toContain(words);
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it.each([
    ["photo.jpeg", JPG],
    ["photo.JPG", JPG],
    ["report.docx", DOCX],
    ["log.gzip", GZ],
    ["old.doc", CFB],
    ["table.csv", "a,b\n"],
  ])("takes %s as it is, and tells what was stored", async (name, content) => {
    await using pair = await openPair();
    const stored = await send(pair, content, { name });
    const { createdAt } = stored;
    expect(stored).toEqual({
      fileId: expect.stringMatching(/^\d+$/) as string,
      bytes: content.length,
      name,
      createdAt,
    });
    expect(createdAt).toBeGreaterThan(1_700_000_000);
    expect(await pair.client.files.retrieve(stored.fileId, { signal: noAbort() })).toEqual(stored);
  });

  it("does not know a file that is not there", async () => {
    await using pair = await openPair();
    const signal = noAbort();
    expect(await errorOf(pair.client.files.retrieve("74", { signal }))).toMatchObject({
      code: "COZE_NOT_FOUND",
    });
    for (const path of ["/nowhere/a.png", "/"]) {
      const error = await errorOf(pair.client.files.upload({ path }, { name: "a.png", signal }));
      expect(error).toMatchObject({ code: "FILE_GONE", outcome: "refused" });
    }
    expect(pair.coze.traffic.exchanges).toHaveLength(1);
  });

  it("checks name and size of a stream", async () => {
    await using pair = await openPair();
    for (const [name, bytes, code] of [
      ["a.txt", 4, "FILE_TYPE"],
      ["a.png", 0, "FILE_EMPTY"],
      ["a.png", 512 * 1024 * 1024 + 1, "FILE_TOO_LARGE"],
    ] as const) {
      const stream = Readable.from([PNG]);
      expect(await errorOf(send(pair, stream, { name, bytes }))).toMatchObject({ code });
      expect(stream.destroyed).toBe(true);
    }
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it.each([
    ["ends early", [PNG], PNG.length + 1],
    ["is longer than said", [PNG, PNG], PNG.length],
    ["is empty after all", [], 7],
    ["is none of bytes", [{ no: "bytes" }], "[object Object]".length],
  ])("stops a stream that %s, and nothing is stored", async (_what, pieces, bytes) => {
    await using pair = await openPair();
    const stream = Readable.from(pieces);
    const error = await errorOf(send(pair, stream, { bytes }));
    expect(error).toMatchObject({ code: "FILE_GONE", outcome: "refused" });
    expect(stream.destroyed).toBe(true);
    await expect.poll(() => pair.coze.openConnections).toBe(0);
    expect(names(pair)).toEqual([]);
  });

  it("stops a stream that breaks, in the middle or before its turn", async () => {
    await using pair = await openPair();
    const reason = new Error("the disk is gone");
    const broken = Readable.from(breakAfter(PNG, reason));
    const late = await errorOf(send(pair, broken, { bytes: 10_000 }));
    expect(late).toMatchObject({ code: "FILE_GONE", cause: reason });
    const early = new Readable({ read: () => undefined });
    early.destroy(reason);
    expect(await errorOf(send(pair, early, { bytes: 10_000 }))).toMatchObject({ code: "FILE_GONE" });
    await expect.poll(() => pair.coze.openConnections).toBe(0);
    expect(names(pair)).toEqual([]);
  });

  it.each([
    ["grows", (path: string) => appendFile(path, "more")],
    ["shrinks", (path: string) => truncate(path, 700_000)],
  ])("stops when a file %s while it is read", async (_what, change) => {
    await using pair = await openPair();
    await using file = await aFile(Buffer.concat([PDF, Buffer.alloc(4_000_000)]));
    const changed = Promise.withResolvers<void>();
    // The path is looked at first, then read: the change comes in between.
    const onProgress = (): void => changed.resolve(change(file.path));
    const error = await errorOf(
      pair.client.files.upload(file, { name: "a.pdf", signal: noAbort(), onProgress }),
    );
    await changed.promise;
    expect(error).toMatchObject({ code: "FILE_GONE", outcome: "refused" });
    await expect.poll(() => pair.coze.openConnections).toBe(0);
    expect(names(pair)).toEqual([]);
  });

  it("lets go of a stream when it is given up, before its turn and in the middle", async () => {
    await using pair = await openPair();
    const gone = new AbortController();
    const reason = new Error("not any more");
    gone.abort(reason);
    const waiting = new Readable({ read: () => undefined });
    expect(await errorOf(send(pair, waiting, { bytes: 7, signal: gone.signal }))).toBe(reason);
    expect(waiting.destroyed).toBe(true);
    const later = new AbortController();
    const endless = new Readable({ read: () => undefined });
    endless.push(PNG);
    const running = errorOf(
      send(pair, endless, { bytes: 10_000, signal: later.signal, onProgress: () => later.abort(reason) }),
    );
    // What was sent is counted when the next piece is asked for.
    endless.push(PNG);
    expect(await running).toBe(reason);
    expect(endless.destroyed).toBe(true);
    await expect.poll(() => pair.coze.openConnections).toBe(0);
    expect(names(pair)).toEqual([]);
  });

  it("is sent again under a new token, unless it is a stream", async () => {
    for (const source of [PNG, Readable.from([PNG])]) {
      const tokens = new TurningTokens();
      await using pair = await openPair({ tokens });
      const sent: number[] = [];
      const uploaded = send(pair, source, { bytes: PNG.length, onProgress: (bytes) => sent.push(bytes) });
      if (source instanceof Readable) {
        expect(await errorOf(uploaded)).toMatchObject({ code: "COZE_AUTH" });
        expect(sent).toEqual([PNG.length]);
      } else {
        expect(await uploaded).toMatchObject({ name: "a.png" });
        expect(sent).toEqual([PNG.length, PNG.length]);
      }
    }
  });

  it("tells how much the connection took, never much more than the other side has", async () => {
    const size = 48 * 1024 * 1024;
    await using slow = await startSlowServer();
    await using client = createCozeClient({
      baseUrl: slow.url,
      tokens: staticToken("t"),
      log: new KeptLog(),
      gates: new Gates(CLOCK),
      chatsPerSecond: 20,
    });
    let ahead = 0;
    let last = 0;
    const onProgress = (sent: number): void => {
      ahead = Math.max(ahead, sent - slow.received());
      expect(sent).toBeGreaterThan(last);
      last = sent;
    };
    const piece = Buffer.alloc(64 * 1024);
    const stream = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += piece.length) yield piece;
      })(),
    );
    await client.files.upload({ stream, bytes: size }, { name: "a.pdf", signal: noAbort(), onProgress });
    expect(last).toBe(size);
    // What the kernel holds for both ends of a connection.
    expect(ahead).toBeLessThan(size / 3);
  });
});

function* breakAfter(bytes: Uint8Array, reason: Error): Generator<Uint8Array, void, undefined> {
  yield bytes;
  throw reason;
}

/** The first token is refused, the second is right. */
class TurningTokens implements TokenSource {
  #current = "stale";

  async token(): Promise<string> {
    return this.#current;
  }

  async renew(): Promise<boolean> {
    this.#current = STAND_IN_TOKEN;
    return true;
  }
}

interface SlowServer extends AsyncDisposable {
  readonly url: string;
  received(): number;
}

/** Takes its time over every piece it reads. */
async function startSlowServer(): Promise<SlowServer> {
  let received = 0;
  const server = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => {
      received += chunk.length;
      request.pause();
      setTimeout(() => request.resume(), 1);
    });
    request.on("end", () => response.end('{"code":0,"data":{"id":"74"}}'));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    // A listening TCP server always has an address of this kind.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

it("§22.44 files go along with one text, also when nothing was said", async () => {
  await using pair = await openPair();
  const conversationId = await newConversation(pair);
  const files = [await upload(pair, PNG, "a.png"), await upload(pair, PDF, "b.pdf")];
  for (const text of ["What is this?", ""]) {
    const asked = await ask(pair.source, aQuestion({ conversationId, text, files }));
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toContain("- **a.png**: an image");
    expect(answerMarkdown(asked.state)).toContain("- **b.pdf**: a PDF document");
  }
  const [question] = pair.coze.service.conversations.get(conversationId)?.messages ?? [];
  const [image, document] = [...pair.coze.service.files.keys()];
  expect(JSON.parse(question?.content ?? "")).toEqual([
    { type: "text", text: "What is this?" },
    { type: "image", file_id: image },
    { type: "file", file_id: document },
  ]);
});

it.each([
  ["a/b\\c.PNG", "c.png"],
  ["...", "file.png"],
  ["", "file.png"],
  ['x\u0000"<y>.gif', "x___y_.png"],
  [`${"长".repeat(200)}.png`, `${"长".repeat(80)}.png`],
])("names %j for an upload", (name, sent) => {
  expect(toUploadName(name, "png")).toBe(sent);
});

it("asks the name only where the content can't tell", () => {
  expect(toFileKind("asf", false, "a.wmv")).toEqual({ kind: "file", extension: "wmv" });
  expect(toFileKind("asf", false, "a.png")).toEqual({ kind: "refused", found: "asf" });
  expect(toFileKind("apng", false, "a.gif")).toEqual({ kind: "image", extension: "png" });
  expect(toFileKind("rtf", true, "a.rtf")).toEqual({ kind: "refused", found: "rtf" });
});
