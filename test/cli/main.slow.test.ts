import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN, startCoze } from "../../sandbox/coze/coze-stand-in.ts";
import { tempFolder } from "./temp-folder.ts";

const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");

/** Starts `coze-bridge` in a folder, with nothing in the environment but this. */
function begin(folder: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env, stdio: "pipe" });
  const said = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...said }));
  return { child, ended };
}

function settings(url: string): Record<string, string> {
  return { COZE_API_BASE: url, COZE_API_TOKEN: STAND_IN_TOKEN, COZE_BOT_ID: STAND_IN_BOT };
}

it.each(["utf8", "utf16le"] as const)(
  "reads a .env that an editor began with a mark: %s",
  async (encoding) => {
    await using coze = await startCoze();
    await using dir = await tempFolder();
    const lines = Object.entries(settings(coze.url)).map(([name, value]) => `${name}="${value}"\r\n`);
    await writeFile(join(dir.path, ".env"), `\uFEFF${lines.join("")}`, encoding);
    expect(await begin(dir.path, ["workspaces"]).ended).toMatchObject({ code: 0, err: "" });
  },
);

it.each(["20.20.2", "24.14.0"])(
  "says in both languages that Node %s is too old, before it loads anything",
  async (version) => {
    const lie = `Object.defineProperty(process.versions, "node", { value: "${version}" })`;
    const args = ["--import", `data:text/javascript,${encodeURIComponent(lie)}`, MAIN, "--help"];
    const child = spawn(process.execPath, args, { env: {}, stdio: ["ignore", "ignore", "pipe"] });
    const closed = once(child, "close").then(([code]) => code as number | null);
    const said = await text(child.stderr);
    expect(await closed).toBe(78);
    expect(said.split("\n")).toMatchObject([
      expect.stringContaining(`needs Node 24.15 or newer, and this is ${version}.`),
      expect.stringContaining(`需要 Node 24.15 或更新的版本，当前是 ${version}。`),
      "",
    ]);
  },
);

it.each([
  ["a proxy that is not there", "HTTPS_PROXY is 127.0.0.1:9:", { HTTPS_PROXY: "http://127.0.0.1:9" }],
  [
    "nobody",
    "Where this network needs a proxy, set HTTPS_PROXY",
    { DISCORD_API_URL: "http://127.0.0.1:9/api" },
  ],
])("says in both languages what to look at where %s answers", async (_, hint, env) => {
  await using dir = await tempFolder();
  const discord = { DISCORD_BOT_TOKEN: "a.b.c", DISCORD_API_URL: "https://discord.test/api", PORT: "0" };
  const { code, err } = await begin(dir.path, ["start"], {
    ...settings("http://127.0.0.1:9"),
    ...discord,
    ...env,
  }).ended;
  expect(code).toBe(75);
  const said = err.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  expect(said).toHaveLength(4);
  expect(said[2]).toContain(hint);
  expect(said[3]).toMatch(/^(如果本机要通过代理|HTTPS_PROXY 是 127\.0\.0\.1:9：)/);
});

it("what is set already stays, whatever .env says", async () => {
  await using coze = await startCoze();
  await using dir = await tempFolder();
  await writeFile(join(dir.path, ".env"), "COZE_API_TOKEN=of-another\n");
  expect(await begin(dir.path, ["workspaces"], settings(coze.url)).ended).toMatchObject({ code: 0 });
});

it("says so when .env is no file", async () => {
  await using dir = await tempFolder();
  await mkdir(join(dir.path, ".env"));
  const { code, err } = await begin(dir.path, ["workspaces"]).ended;
  expect({ code, err }).toEqual({
    code: 78,
    err: ".env can't be read; it must be a file of this user's\n无法读取 .env；它必须是一个文件，并且当前用户有权读取\n",
  });
});

it("goes on when nobody reads what it says besides", async () => {
  await using coze = await startCoze();
  await using dir = await tempFolder();
  const { child, ended } = begin(dir.path, ["ask", "Hi"], settings(coze.url));
  child.stderr.destroy();
  expect(await ended).toMatchObject({ code: 0, out: "You said: Hi\n" });
});

it("ends when told to while it waits for the question", async () => {
  await using coze = await startCoze();
  await using dir = await tempFolder();
  const { child, ended } = begin(dir.path, ["ask"], settings(coze.url));
  // The reader is there once it has taken more than a pipe holds.
  child.stdin.on("error", () => undefined);
  await new Promise<void>((resolve) => void child.stdin.write("x".repeat(512 * 1024), () => resolve()));
  child.kill("SIGTERM");
  expect(await ended).toMatchObject({ code: 130, out: "" });
});
