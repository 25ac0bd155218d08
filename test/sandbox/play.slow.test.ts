import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { makeTestFolder } from "../queue/embedded.ts";

const ROOT = join(import.meta.dirname, "../..");
const PATH = process.env["PATH"] ?? "";

/** `npm start`, as somebody without any setting has it. @param cwd - Where its `.env` is. */
function play(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = ROOT) {
  const child = spawn(process.execPath, [join(ROOT, "sandbox/main.ts"), ...args], {
    cwd,
    env: { PATH, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  return { child, ended, out: text(child.stdout), err: text(child.stderr) };
}

it("plays four scenes, prints the final chats on stdout and exits 0", async () => {
  const { ended, out, err } = play(["--once"]);
  expect(await ended).toBe(0);
  const chats = await out;
  for (const title of [
    "Discord #general",
    "Slack #general",
    "Discord direct message",
    "Slack direct message",
  ]) {
    expect(chats).toContain(title);
  }
  for (const words of ["The Lighthouse at Grey Point", "天气插件说", "sunset.png"])
    expect(chats).toContain(words);
  expect(chats).not.toMatch(/[{]"level"|✗/);
  // What runs, in both languages, and nothing to worry about.
  expect((await err).trim()).toMatch(/^sandbox: .*\n沙盒：.*$/);
});

it("exits with another code when the bridge dies before the answers are there", async () => {
  const { child, ended, err } = play(["--once"]);
  const bridge = await new Promise<number>((resolve) => {
    child.stderr.on("data", (chunk: Buffer) => {
      const pid = /the bridge is process (\d+)/.exec(chunk.toString())?.[1];
      if (pid !== undefined) resolve(Number(pid));
    });
  });
  process.kill(bridge, "SIGKILL");
  expect(await ended).toBe(1);
  expect(await err).toContain("the bridge has ended");
});

it("ends with 0 at Ctrl-C, and takes the bridge along", async () => {
  const { child, ended, err } = play([]);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await expect.poll(() => /the bridge is process (\d+)/.exec(said)?.[1], { timeout: 30_000 }).toBeDefined();
  child.kill("SIGINT");
  expect(await ended).toBe(0);
  const pid = Number(/the bridge is process (\d+)/.exec(await err)?.[1]);
  expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
});

it("ends with 0 when nobody reads any more, and takes the bridge along", async () => {
  const { child, ended, out, err } = play(["--once"]);
  child.stdout.once("data", () => child.stdout.destroy());
  await expect(out).rejects.toThrow("Premature close");
  expect(await ended).toBe(0);
  const said = await err;
  expect(said).not.toContain("EPIPE");
  const pid = Number(/the bridge is process (\d+)/.exec(said)?.[1]);
  expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
});

it("answers typed lines after the scenes", async () => {
  const { child, ended, out } = play([]);
  child.stdin.end("discord> my name is Ada\nslack> hello there\n/what\n");
  expect(await ended).toBe(0);
  const chats = await out;
  expect(chats).toContain("Nice to meet you, Ada.");
  expect(chats).toContain("You said: hello there");
});

it("asks the real Coze only when it is configured, and then plays nothing by itself", async () => {
  const env = { COZE_API_TOKEN: "some-token", COZE_BOT_ID: "1", COZE_API_BASE: "http://127.0.0.1:9" };
  const { child, ended, out, err } = play([], env);
  child.stdin.end();
  expect(await ended).toBe(0);
  const said = await out;
  expect(said).toContain("/dm my name is Ada");
  expect(said).not.toMatch(/──|bot of the sandbox/);
  expect(await err).toMatch(/with your real Coze.*\n.*连接真实扣子的沙盒/);
});

it("names what is missing in half a configuration, with exit code 78", async () => {
  const half = play([], { COZE_API_TOKEN: "some-token" });
  half.child.stdin.end();
  expect(await half.ended).toBe(78);
  expect(await half.err).toContain("COZE_BOT_ID is missing");
  const platform = play([], { SLACK_BOT_TOKEN: "x" });
  expect(await platform.ended).toBe(78);
  const said = await platform.err;
  for (const name of ["COZE_API_TOKEN", "COZE_BOT_ID", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"]) {
    expect(said).toContain(name);
  }
});

it("takes a filled-in .env of Windows editors for what it is, and one that can't be read for a mistake", async () => {
  await using folder = await makeTestFolder();
  const path = join(folder.path, ".env");
  writeFileSync(path, "\ufeffDISCORD_BOT_TOKEN=x\r\n");
  const marked = play([], {}, folder.path);
  expect(await marked.ended).toBe(78);
  expect(await marked.err).toContain("COZE_API_TOKEN is missing");
  await using other = await makeTestFolder();
  mkdirSync(join(other.path, ".env"));
  const unreadable = play([], {}, other.path);
  expect(await unreadable.ended).toBe(78);
  expect(await unreadable.err).toBe(
    ".env can't be read; it must be a file of this user's\n无法读取 .env；它必须是一个文件，并且当前用户有权读取\n",
  );
});

it("explains its options, and refuses others with 64", async () => {
  const help = play(["--help"]);
  expect(await help.ended).toBe(0);
  expect(await help.out).toContain("--once");
  const wrong = play(["--twice"]);
  expect(await wrong.ended).toBe(64);
});

it("is what npm start runs", () => {
  expect(readFileSync(join(ROOT, "package.json"), "utf8")).toContain('"start": "node sandbox/main.ts"');
});
