import { describe, expect, it } from "vitest";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { BroughtFile } from "../../src/core/ports.ts";
import { readAsText, toFileKind, toUploadName } from "../../src/coze/file-kind.ts";
import {
  aFile,
  aQuestion,
  ask,
  type CozePair,
  errorOf,
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

describe("§22.38 what the service refuses of an upload", () => {
  const send = async (pair: CozePair, content: string | Uint8Array, name: string): Promise<unknown> => {
    await using file = await aFile(content);
    const error = await errorOf(pair.client.files.upload(file, { name, signal: noAbort() }));
    return error;
  };

  it("has words of its own for each", async () => {
    await using pair = await openPair({ switches: { maxUploadBytes: 1_000 } });
    expect(await send(pair, "", "a.png")).toMatchObject({ code: "FILE_EMPTY", cozeCode: 4300 });
    expect(await send(pair, Buffer.alloc(1_001), "a.png")).toMatchObject({
      code: "FILE_TOO_LARGE",
      cozeCode: 4302,
    });
    expect(await send(pair, "text", "a.txt")).toMatchObject({ code: "FILE_TYPE", cozeCode: 4303 });
    expect(await send(pair, PNG, "a.jpg")).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4000 });
    expect(await send(pair, "no png", "a.png")).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4000 });
  });

  it.each([
    [4301, "COZE_BAD_REQUEST"],
    [4304, "FILE_TYPE"],
  ])("knows %i", async (code, ours) => {
    await using pair = await openPair();
    pair.coze.faults.plan("POST /v1/files/upload", { do: "answer", status: 200, body: { code, msg: "x" } });
    expect(await send(pair, PNG, "a.png")).toMatchObject({ code: ours, cozeCode: code, outcome: "refused" });
  });

  it("succeeds without `detail`, and slowly", async () => {
    await using pair = await openPair({ timeouts: { headersMs: 5_000 } });
    const call = "POST /v1/files/upload";
    pair.coze.faults.plan(call, { do: "answer", status: 200, body: { code: 0, data: { id: "74" } } });
    expect(await upload(pair, PNG, "a.png")).toEqual({ kind: "image", fileId: "74" });
    pair.coze.faults.plan(call, { do: "delay", ms: 100 });
    expect(await upload(pair, PNG, "a.png")).toMatchObject({ kind: "image" });
  });

  it("leaves the outcome open when the connection breaks after the body", async () => {
    await using pair = await openPair();
    pair.coze.faults.plan("POST /v1/files/upload", { do: "commit-then-reset" });
    expect(await send(pair, PNG, "a.png")).toMatchObject({ code: "COZE_UNREACHABLE", outcome: "unknown" });
    expect(names(pair)).toEqual(["a.png"]);
  });

  it("accepts plain text where the switch says so", async () => {
    await using pair = await openPair({ switches: { textFilesAccepted: true } });
    await using file = await aFile("text");
    expect(await pair.client.files.upload(file, { name: "a.txt", signal: noAbort() })).toMatch(/^\d+$/);
  });
});

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
