import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EXIT, exitCodeFor } from "../../src/cli/exit-code.ts";
import { runProgram } from "../../src/cli/program.ts";
import { shutdownSignals } from "../../src/cli/shutdown-signals.ts";
import { start } from "../../src/cli/start.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { VERSION } from "../../src/version.ts";

async function run(...args: string[]) {
  let out = "";
  let err = "";
  let starts = 0;
  const roles: string[] = [];
  const commands: unknown[] = [];
  const code = await runProgram(args, {
    version: VERSION,
    start: ({ role }) => {
      starts += 1;
      roles.push(role);
      return Promise.resolve(EXIT.ok);
    },
    dead: (command) => {
      commands.push(command);
      return Promise.resolve(EXIT.notFound);
    },
    exportAll: (to) => {
      commands.push(["export", to]);
      return Promise.resolve(EXIT.ok);
    },
    coze: (command) => {
      commands.push(command);
      return Promise.resolve(EXIT.refused);
    },
    importAll: (given) => {
      commands.push(["import", given]);
      return Promise.resolve(EXIT.badData);
    },
    write: (text) => {
      out += text;
    },
    writeError: (text) => {
      err += text;
    },
  });
  return { code, out, err, starts, roles, commands };
}

it("starts the bridge and hands on how it ended", async () => {
  expect(await run("start")).toMatchObject({ code: 0, out: "", err: "", starts: 1, roles: ["all"] });
  expect((await run("start", "--role", "worker")).roles).toEqual(["worker"]);
  expect((await run("start", "--role", "boss")).code).toBe(64);
});

it("hands on what to do with dead letters, and how that ended", async () => {
  const listed = await run("dead", "list", "--limit", "5");
  expect(listed).toMatchObject({ code: 66, commands: [{ act: "list", limit: 5, json: false }] });
  const shown = await run("dead", "show", "7", "9", "--text", "--json");
  expect(shown.commands).toEqual([{ act: "show", ids: ["7", "9"], text: true, json: true }]);
  const dropped = await run("dead", "drop", "--all");
  expect(dropped.commands).toEqual([{ act: "drop", ids: "all", json: false }]);
});

it("hands on where to export to and what to import", async () => {
  expect((await run("export")).commands).toEqual([["export", undefined]]);
  expect((await run("export", "--to", "f")).commands).toEqual([["export", "f"]]);
  const imported = await run("import", "--from", "f", "--merge");
  expect(imported).toMatchObject({ code: 65, commands: [["import", { from: "f", merge: true }]] });
});

it.each([
  ["dead"],
  ["dead", "bury"],
  ["dead", "show"],
  ["dead", "drop"],
  ["dead", "retry", "7", "--all"],
  ["dead", "list", "--limit", "0"],
])("does nothing for an unfinished command line: %s %s", async (...args) => {
  expect(await run(...args)).toMatchObject({ code: 64, commands: [], starts: 0 });
});

it.each([["start"], ["dead"], ["dead", "list"], ["dead", "retry"]])(
  "has an example for %s %s",
  async (...args) => {
    const help = await run(...args, "--help");
    expect(help).toMatchObject({ code: 0, commands: [], starts: 0 });
    expect(help.out).toMatch(/Example:\n.*coze-bridge/);
    expect(help.out).toMatch(/\p{Script=Han}/u);
  },
);

it("explains itself, in English and Chinese, with an example and the exit codes", async () => {
  const help = await run("--help");
  expect([help.code, help.starts]).toEqual([0, 0]);
  expect(help.out).toContain("接入 Discord 和 Slack");
  const startHelp = await run("start", "--help");
  expect(startHelp.out).toMatch(/Example:\s+COZE_API_TOKEN=/);
  expect(startHelp.out).toContain("78 the configuration is not complete");
});

it("refuses what it does not know, and says where to look", async () => {
  const unknown = await run("sandbx");
  expect([unknown.code, unknown.starts]).toEqual([64, 0]);
  expect(unknown.err).toContain("unknown command 'sandbx'; see coze-bridge --help");
  expect((await run("start", "--fast")).code).toBe(64);
  expect((await run()).code).toBe(64);
});

it("tells its version, which is the package's", async () => {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  expect(manifest).toMatchObject({ version: VERSION });
  expect((await run("--version")).out.trim()).toBe(VERSION);
});

it("stops with 78 and the whole list when settings are missing, before anything is opened", async () => {
  const said: string[] = [];
  const never = new AbortController().signal;
  const code = await start({ env: {}, shutdown: never, hurry: never, say: (text) => said.push(text) });
  expect(code).toBe(78);
  for (const name of ["COZE_API_TOKEN", "COZE_BOT_ID", "DISCORD_BOT_TOKEN", "SLACK_BOT_TOKEN"]) {
    expect(said.join("\n")).toContain(name);
  }
});

it.each(["intake", "worker"] as const)("says why the role %s alone needs Redis", async (role) => {
  const said: string[] = [];
  const never = new AbortController().signal;
  const env = { COZE_API_TOKEN: "t", COZE_BOT_ID: "1", DISCORD_BOT_TOKEN: "t", LOG_LEVEL: "silent" };
  const code = await start({ env, role, shutdown: never, hurry: never, say: (text) => said.push(text) });
  expect(code).toBe(78);
  expect(said.join("\n")).toContain(`--role ${role} needs REDIS_URL: without it the queue is a file`);
});

it("has an exit code for what the operator must change, for what may pass, and for the rest", () => {
  expect(exitCodeFor(new BridgeError("PLATFORM_AUTH", "bad token"))).toBe(78);
  expect(exitCodeFor(new BridgeError("QUEUE_OWNED", "another process"))).toBe(75);
  expect(exitCodeFor(new TypeError("bug"))).toBe(70);
  // The bridge begins another one; who named it can't.
  expect(exitCodeFor(new BridgeError("COZE_CONVERSATION_GONE", "gone", { retryable: true }))).toBe(69);
});

it.each([
  { args: ["ask", "Hi", "--bot", ""] },
  { args: ["ask", "Hi", "--conversation", " "] },
  { args: ["ask", "Hi", "--user", ""] },
  { args: ["bots", "show", ""] },
  { args: ["bots", "publish", ""] },
  { args: ["bots", "list", "--workspace", ""] },
  { args: ["bots", "create", "--name", "a", "--workspace", ""] },
  { args: ["conversations", "list", "--bot", ""] },
  { args: ["conversations", "show", ""] },
  { args: ["conversations", "clear", ""] },
  { args: ["auth", "login", "--client-id", ""] },
  { args: ["auth", "login", "--client-id", "1", "--workspace", ""] },
])("takes nothing for no id, as a variable leaves it that is not set: %j", async ({ args }) => {
  const { code, err, commands } = await run(...args);
  expect({ code, commands }).toEqual({ code: 64, commands: [] });
  expect(err).toContain("it is empty");
});

it("asks politely at the first signal and hurries at the second", () => {
  const listeners: (() => void)[] = [];
  const { shutdown, hurry } = shutdownSignals({ on: (_name, listener) => listeners.push(listener) });
  listeners[0]?.();
  expect([shutdown.aborted, hurry.aborted]).toEqual([true, false]);
  listeners[1]?.();
  expect(hurry.aborted).toBe(true);
});
