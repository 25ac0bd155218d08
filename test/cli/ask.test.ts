import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import { STORY } from "../../sandbox/coze/stories.ts";
import { PNG } from "../coze/file-bytes.ts";
import { openCli } from "./coze-cli.ts";
import { tempFolder } from "./temp-folder.ts";

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const containing = (text: string): unknown => expect.stringContaining(text);

/** Waits for the world, never for a time: slow enough to be met in the middle. */
const SLOW = { firstDeltaMs: 0, deltaMs: 30_000 };

describe("into a pipe", () => {
  it("goes the answer and nothing else", async () => {
    await using cli = await openCli();
    const { code, out, err } = await cli.run(["ask", "Tell me a story"]);
    expect({ code, out }).toEqual({ code: 0, out: `${STORY}\n` });
    expect(err).toMatch(/^692 tokens: 4 in, 688 out$/m);
    expect(err).toMatch(/^go on with --conversation 73900\d+$/m);
    expect(err).not.toContain("\u001B");
  });

  it("goes what Coze settled on, not what it wrote first", async () => {
    await using cli = await openCli();
    const corrected = "All of it, in other words.";
    cli.coze.service.script(() => ({
      steps: [
        { do: "delta", answer: 0, text: "Half of " },
        { do: "answer", answer: 0, text: corrected },
      ],
    }));
    expect((await cli.run(["ask", "x"])).out).toBe(`${corrected}\n`);
    const live = await cli.run(["ask", "x", "--stream"]);
    expect(live.out).toBe(`Half of \n${corrected}\n`);
    expect(live.err).toContain("Coze changed what it had written");
  });

  it.each([["--block"], ["--stream"]])("goes the same %s", async (mode) => {
    await using cli = await openCli();
    expect(await cli.run(["ask", "twice", mode])).toMatchObject({
      code: 0,
      out: "This is the **first** answer.\n\nAnd this is the *second* one.\n",
    });
  });

  it.each([["-"], []])("the question may come from there, too: ask %s", async (...args) => {
    await using cli = await openCli();
    expect((await cli.run(["ask", ...args], { stdin: "你好\n" })).out).toBe("你说：你好\n");
  });
});

describe("on a terminal", () => {
  it("the answer grows while it is written, and a line says what goes on", async () => {
    await using cli = await openCli({ pace: { charactersPerDelta: 4 } });
    const pieces: string[] = [];
    const { out, err } = await cli.run(["ask", "weather"], {
      terminal: true,
      onWrite: (text) => pieces.push(text),
    });
    expect(pieces.length).toBeGreaterThan(5);
    expect(out).toBe("It is 21 °C and sunny, says the weather plugin.\n");
    expect(err).toContain("waiting for the answer …");
    expect(err).toContain("using weather …");
    expect(err).toContain("14 tokens: 2 in, 12 out");
  });

  it("nothing that a bot writes steers it", async () => {
    await using cli = await openCli();
    const evil = "red \u001B[31mtext\u001B[0m\u0007 \u001B]0;title\u0007 \u009B2J end";
    const { out } = await cli.run(["ask", evil], { terminal: true });
    expect(out).toMatch(/^You said: red .*text/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
    expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  });

  it("somebody who asks nothing is told how", async () => {
    await using cli = await openCli();
    const { code, err } = await cli.run(["ask"], { terminal: true });
    expect(code).toBe(64);
    expect(err).toContain('coze-bridge ask "…"');
  });
});

describe("for scripts", () => {
  it("one line of JSON says all", async () => {
    await using cli = await openCli();
    const { code, out, err } = await cli.run(["ask", "weather", "--json"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(JSON.parse(out)).toEqual({
      answer: "It is 21 °C and sunny, says the weather plugin.",
      status: "completed",
      conversationId: matching(/^\d+$/),
      chatId: matching(/^\d+$/),
      usage: { input: 2, output: 12, total: 14 },
      followUps: ["Tell me a story", "How is the weather?"],
      pending: [],
      tools: ["weather"],
      cut: false,
    });
  });

  it("with --stream a line for each event, and then that one", async () => {
    await using cli = await openCli();
    const lines = (await cli.run(["ask", "Hi", "--json", "--stream"])).out.trim().split("\n");
    const types = lines.map((line) => (JSON.parse(line) as { type?: string }).type);
    expect(types).toContain("delta");
    expect(types.at(-1)).toBeUndefined();
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ answer: "You said: Hi" });
  });

  it("a failure is JSON as well, with Coze's code and log id", async () => {
    await using cli = await openCli();
    const { code, out, err } = await cli.run(["ask", "fail 4011", "--json"]);
    expect({ code, out }).toEqual({ code: 69, out: "" });
    expect(JSON.parse(err)).toMatchObject({
      error: { code: "COZE_QUOTA", cozeCode: 4011, logId: matching(/^\d+$/), retryable: false },
    });
    expect(err).not.toContain("中文说明");
  });
});

it("goes on with a conversation", async () => {
  await using cli = await openCli();
  const first = await cli.run(["ask", "My name is Tuva", "--json"]);
  const { conversationId } = JSON.parse(first.out) as { conversationId: string };
  const again = await cli.run(["ask", "What is my name?", "--conversation", conversationId]);
  expect(again.out).toBe("Your name is Tuva.\n");
});

describe("files", () => {
  it("go along, whatever they are", async () => {
    await using cli = await openCli();
    await using dir = await tempFolder();
    await writeFile(join(dir.path, "a.png"), PNG);
    await writeFile(join(dir.path, "notes.md"), "# Notes");
    const paths = [join(dir.path, "a.png"), join(dir.path, "notes.md")];
    const { code, out } = await cli.run(["ask", "Look", "--file", ...paths]);
    expect({ code, out }).toEqual({
      code: 0,
      out: `I received 1 file:\n\n- **a.png**: an image, ${PNG.length} bytes\n`,
    });
  });

  it("that are not there, or that Coze takes none of, stop before anything is asked", async () => {
    await using cli = await openCli();
    await using dir = await tempFolder();
    await writeFile(join(dir.path, "a.exe"), Buffer.from("MZ\u0000\u0001 program"));
    const missing = await cli.run(["ask", "Look", "--file", join(dir.path, "none.png")]);
    expect(missing).toMatchObject({ code: 66, err: containing("none.png can't be read") });
    expect(await cli.run(["ask", "Look", "--file", dir.path])).toMatchObject({ code: 66 });
    expect(await cli.run(["ask", "Look", "--file", join(dir.path, "a.exe")])).toMatchObject({ code: 65 });
    expect(cli.coze.chats).toEqual([]);
  });
});

describe("what can go wrong has an exit code and a sentence", () => {
  it.each([
    ["fail 4016", 75, "4016"],
    ["fail 4015", 78, "4015"],
    ["fail 4101", 78, "4101"],
    ["chat fail 4014", 69, "4014"],
    ["empty", 69, "said nothing"],
    ["local plugin", 69, 'waits for a tool of yours: get_stock {"sku":"A1"}'],
  ])("%s: %i", async (text, code, words) => {
    await using cli = await openCli();
    expect(await cli.run(["ask", text])).toMatchObject({ code, err: containing(words) });
  });

  it.each([["--block"], ["--stream"]])("no answer is no line of output either, %s", async (mode) => {
    await using cli = await openCli();
    expect(await cli.run(["ask", "empty", mode])).toMatchObject({ code: 69, out: "" });
  });

  it("a token that is refused, which is not told to anybody", async () => {
    await using cli = await openCli();
    cli.coze.tokens.clear();
    const { code, err } = await cli.run(["ask", "x"]);
    expect(code).toBe(78);
    expect(err).toContain("4100");
    expect(err).not.toContain(STAND_IN_TOKEN);
  });

  it("what Coze refuses, with the Chinese page that says what to do", async () => {
    await using cli = await openCli();
    const { code, err } = await cli.run(["ask", "fail 4011"]);
    expect(code).toBe(69);
    expect(err).toMatch(/4011.*\n中文说明见 docs\/errors\.zh-CN\.md 中的 COZE_QUOTA\n$/);
  });

  it("what says itself in Chinese, without another page", async () => {
    await using cli = await openCli();
    const { err } = await cli.run(["ask", "x"], { env: { COZE_BOT_ID: "mine" } });
    expect(err).toContain("COZE_BOT_ID 填写有误");
    expect(err).not.toContain("中文说明");
  });

  it("no bot, no token, no question", async () => {
    await using cli = await openCli();
    expect(await cli.run(["ask", "x"], { env: { COZE_BOT_ID: "" } })).toMatchObject({ code: 78 });
    expect(await cli.run(["ask", "x"], { env: { COZE_API_TOKEN: "" } })).toMatchObject({ code: 78 });
    expect(await cli.run(["ask"], { stdin: " \n" })).toMatchObject({ code: 64 });
    expect(await cli.run(["ask", "x", "--stream", "--block"])).toMatchObject({ code: 64 });
    expect(cli.coze.chats).toEqual([]);
  });

  it("nobody there", async () => {
    await using cli = await openCli();
    expect(await cli.run(["ask", "x"], { env: { COZE_API_BASE: "http://127.0.0.1:1" } })).toMatchObject({
      code: 75,
      err: containing("ECONNREFUSED"),
    });
  });
});

it("a connection that breaks costs nobody the answer", async () => {
  await using cli = await openCli();
  const { code, out, err } = await cli.run(["ask", "break"]);
  expect({ code, out }).toEqual({
    code: 0,
    out: "This answer starts well, and then it is whole after all.\n",
  });
  expect(err).toContain("looked up at Coze");
});

it("Ctrl-C cancels the chat at Coze", async () => {
  await using cli = await openCli({ pace: SLOW });
  const stop = new AbortController();
  const onWrite = (): void => stop.abort();
  const { code, err } = await cli.run(["ask", "x", "--stream"], { signal: stop.signal, onWrite });
  expect(code).toBe(130);
  expect(err).toContain("cancelled at Coze");
  expect(cli.coze.chats.map(({ status }) => status)).toEqual(["canceled"]);
});

it("Ctrl-C leaves no status on the terminal", async () => {
  await using cli = await openCli({ pace: { firstDeltaMs: 30_000 } });
  const stop = new AbortController();
  const done = cli.run(["ask", "x", "--block"], { signal: stop.signal, terminal: true });
  await expect.poll(() => cli.coze.chats.length, { interval: 5 }).toBe(1);
  stop.abort();
  const { code, err } = await done;
  expect(code).toBe(130);
  expect(err.endsWith("\r\u001B[2K")).toBe(true);
});

it("what a bot names stays on its line, and steers no terminal that reads it later", async () => {
  await using cli = await openCli();
  const evil = "one\n\u001B[31m\u202Etwo";
  cli.coze.service.script(() => ({
    steps: [
      { do: "delta", answer: 0, text: "Yes." },
      { do: "answer", answer: 0, text: "Yes." },
      { do: "message", type: "follow_up", content: evil },
    ],
  }));
  const { err } = await cli.run(["ask", "x"]);
  expect(err).toContain("  ? one [31m two\n");
});
