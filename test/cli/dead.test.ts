import { chmod, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type DeadCommand, dead } from "../../src/cli/dead.ts";
import { runStoredCommand } from "../../src/cli/stored-command.ts";
import type { TurnQueue } from "../../src/core/ports.ts";
import { controlSocketOf, openStorage } from "../../src/open-storage.ts";
import { toPayload } from "../../src/queue/turn-payload.ts";
import { aTurn } from "../make.ts";
import { makeTestFolder, makeTestLog } from "../queue/embedded.ts";

const signal = AbortSignal.timeout(60_000);
const open = (dataDir: string) => openStorage({ dataDir }, { log: makeTestLog(), signal, lockWaitMs: 0 });

/** A command as the process runs it. */
async function run(folder: string, command: DeadCommand) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runStoredCommand((config, tools) => dead(command, config, tools), {
    env: { DATA_DIR: folder },
    write: (text) => out.push(text),
    say: (text) => err.push(text),
    signal,
  });
  return { code, out: out.join(""), err: err.join("\n") };
}

const LIST: DeadCommand = { act: "list", limit: 100, json: false };

/** Turns that die at once. */
async function bury(queue: TurnQueue, count: number): Promise<void> {
  const before = (await queue.stats()).dead;
  for (let index = 0; index < count; index++) {
    const turn = aTurn({ text: `question ${index}`, conversation: `slack:T1:C${index}` });
    await queue.enqueue({
      key: `${before}-${index}`,
      conversation: turn.conversation,
      payload: toPayload(turn),
    });
  }
  const consumer = await queue.work(() => Promise.reject(new Error("no\u001b[2J luck")), { concurrency: 4 });
  await expect.poll(async () => (await queue.stats()).dead, { interval: 5 }).toBe(before + count);
  await consumer.stop("drain");
}

it("lists, shows, retries and drops while no bridge runs", async () => {
  await using folder = await makeTestFolder();
  await using storage = await open(folder.path);
  await bury(storage.queue, 3);
  await storage[Symbol.asyncDispose]();

  const listed = await run(folder.path, LIST);
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(listed.out).toMatch(
    /^\d+ {2}20\d\d-[\d-]+T[\d:]+Z {2}slack {2}slack:T1:C\d\n {4}Error: no \[2J luck\n/,
  );
  const json = (await run(folder.path, { ...LIST, json: true })).out.trim().split("\n");
  const ids = json.map((line) => String((JSON.parse(line) as { id: unknown }).id));
  expect(ids).toHaveLength(3);

  const [first = "", second = ""] = ids;
  const shown = await run(folder.path, { act: "show", ids: [first, "999"], text: false, json: false });
  expect(shown.code).toBe(66);
  expect(shown.err).toContain("No dead letter has the id 999");
  expect(shown.out).toContain('"text": "question');

  expect(await run(folder.path, { act: "drop", ids: [first], json: false })).toMatchObject({
    code: 0,
    out: `${first} dropped\n`,
  });
  expect(await run(folder.path, { act: "retry", ids: [second, first], json: true })).toMatchObject({
    code: 66,
    out: `${JSON.stringify({ done: [second], unknown: [first] })}\n`,
  });
  expect((await run(folder.path, { act: "drop", ids: "all", json: false })).code).toBe(0);
  expect(await run(folder.path, LIST)).toEqual({ code: 0, out: "", err: "No dead letters." });
  await using again = await open(folder.path);
  expect(await again.queue.stats()).toMatchObject({ depth: 1, dead: 0 });
});

it("asks the bridge that runs, by a socket that only its user may open", async () => {
  await using folder = await makeTestFolder();
  await using storage = await open(folder.path);
  // What a killed bridge left behind.
  await writeFile(controlSocketOf(folder.path), "");
  await using _control = await storage.serveControl();
  expect((await stat(controlSocketOf(folder.path))).mode & 0o777).toBe(0o600);
  await bury(storage.queue, 2);
  expect((await run(folder.path, LIST)).out.trim().split("\n")).toHaveLength(4);
  expect((await run(folder.path, { act: "retry", ids: "all", json: false })).code).toBe(0);
  expect(await storage.queue.stats()).toMatchObject({ depth: 2, dead: 0 });
  expect(await run(folder.path, { act: "show", ids: ["1"], text: true, json: false })).toMatchObject({
    code: 66,
  });
});

it("tells that the queue is taken when the bridge that runs can't be asked", async () => {
  await using folder = await makeTestFolder();
  await using _storage = await open(folder.path);
  const { code, err } = await run(folder.path, LIST);
  expect(code).toBe(75);
  expect(err).toContain(`process ${process.pid}`);
  expect(err).toMatch(/\n中文说明见 docs\/errors\.zh-CN\.md 中的 QUEUE_OWNED$/);
});

it("makes no queue where there was none", async () => {
  await using folder = await makeTestFolder();
  const { code, err } = await run(join(folder.path, "nowhere"), LIST);
  expect(code).toBe(66);
  expect(err).toContain("There is no queue in");
  await expect(stat(join(folder.path, "nowhere"))).rejects.toThrow("ENOENT");
});

it("says who may look where this user may not", async () => {
  await using folder = await makeTestFolder();
  const nobody = 65_534;
  if (process.geteuid?.() === 0) process.seteuid?.(nobody);
  else await chmod(folder.path, 0);
  try {
    const { code, err } = await run(folder.path, LIST);
    expect(code).toBe(78);
    expect(err).toContain(
      "run the command as the user who runs the bridge.\n中文说明见 docs/errors.zh-CN.md",
    );
  } finally {
    if (process.getuid?.() === 0) process.seteuid?.(0);
    else await chmod(folder.path, 0o700);
  }
});

it.each([
  ["what is no JSON", "hello\n"],
  ["what no command asks", '{"command":"dead.list","limit":100000}\n'],
])("answers %s with a refusal and goes on", async (_what, line) => {
  await using folder = await makeTestFolder();
  await using storage = await open(folder.path);
  await using _control = await storage.serveControl();
  const socket = createConnection(controlSocketOf(folder.path)).setEncoding("utf8");
  let answers = "";
  socket.on("data", (text: unknown) => (answers += String(text)));
  socket.write(`${line}{"command":"dead.list","limit":1}\n`);
  await expect.poll(() => answers.split("\n").length, { interval: 5 }).toBe(3);
  expect(answers).toMatch(/^\{"ok":false,"error":.*\}\n\{"ok":true,"result":\[\]\}\n$/);
  socket.destroy();
});

it("hangs up on a request without an end", async () => {
  await using folder = await makeTestFolder();
  await using storage = await open(folder.path);
  await using _control = await storage.serveControl();
  const socket = createConnection(controlSocketOf(folder.path));
  socket.on("error", () => undefined);
  socket.write("x".repeat(1_100_000));
  await expect.poll(() => socket.destroyed, { interval: 5 }).toBe(true);
  expect((await run(folder.path, LIST)).code).toBe(0);
});
