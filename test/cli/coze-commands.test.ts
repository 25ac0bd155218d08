import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STAND_IN_USER, STAND_IN_WORKSPACE, TEAM_WORKSPACE } from "../../sandbox/coze/accounts.ts";
import { STAND_IN_BOT, STAND_IN_TOKEN, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { PNG } from "../coze/file-bytes.ts";
import { type CozeCli, openCli, type Ran } from "./coze-cli.ts";
import { tempFolder } from "./temp-folder.ts";

/** Lines of JSON that a command wrote. */
function json({ out }: Ran): Record<string, unknown>[] {
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

describe("workspaces", () => {
  it("are listed side by side, and for scripts", async () => {
    await using cli = await openCli();
    const { code, out } = await cli.run(["workspaces"]);
    expect(code).toBe(0);
    expect(out).toMatch(
      new RegExp(`^${STAND_IN_WORKSPACE}  personal  owner +Sandbox\\n${TEAM_WORKSPACE}  team `),
    );
    expect(json(await cli.run(["workspaces", "--json"]))).toMatchObject([
      { workspaceId: STAND_IN_WORKSPACE, role: "owner" },
      { workspaceId: TEAM_WORKSPACE },
    ]);
  });
});

describe("files upload", () => {
  it("prints the id of each file, and shows how far it is", async () => {
    await using cli = await openCli();
    await using dir = await tempFolder();
    const path = join(dir.path, "a.png");
    await writeFile(path, PNG);
    const piped = await cli.run(["files", "upload", path, path]);
    expect(piped).toMatchObject({ code: 0, err: "" });
    expect(piped.out).toMatch(/^(\d+ {2}a\.png\n){2}$/);
    const seen = await cli.run(["files", "upload", path, "--json"], { terminal: true });
    expect(json(seen)).toMatchObject([{ fileId: matching(/^\d+$/), name: "a.png", bytes: PNG.length }]);
    expect(seen.err).toContain("░".repeat(20));
    expect(seen.err).toContain(`${"█".repeat(20)} 100 % a.png`);
    expect(cli.coze.service.files.size).toBe(3);
  });

  it("says what Coze would not take before it is sent", async () => {
    await using cli = await openCli();
    await using dir = await tempFolder();
    await writeFile(join(dir.path, "a.exe"), Buffer.from("MZ\u0000\u0001 program"));
    const refused = await cli.run(["files", "upload", join(dir.path, "a.exe")]);
    expect(refused).toMatchObject({ code: 65, err: matching(/exe/) });
    expect(await cli.run(["files", "upload", join(dir.path, "none")])).toMatchObject({ code: 66 });
    expect(await cli.run(["files", "upload"])).toMatchObject({ code: 64 });
    expect(await cli.run(["files"])).toMatchObject({ code: 64, err: matching(/files --help/) });
    expect(cli.coze.traffic.exchanges).toEqual([]);
  });
});

it("what is no file is never opened: it might not let go again", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  const pipe = join(dir.path, "pipe");
  execFileSync("mkfifo", [pipe]);
  const create = ["bots", "create", "--name", "a", "--workspace", STAND_IN_WORKSPACE];
  for (const args of [
    [...create, "--prompt-file", pipe],
    [...create, "--avatar", pipe],
    ["files", "upload", pipe],
    ["files", "upload", dir.path],
    ["ask", "Look", "--file", pipe],
  ]) {
    expect(await cli.run(args)).toMatchObject({ code: 66, err: matching(/ is no file/) });
  }
  expect(cli.coze.traffic.exchanges).toEqual([]);
});

it("a file's name stays on its line", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  const path = join(dir.path, "two\nlines.png");
  await writeFile(path, PNG);
  expect((await cli.run(["files", "upload", path])).out).toMatch(/^\d+ {2}two lines\.png\n$/);
});

describe("bots", () => {
  const FROM = ["--workspace", STAND_IN_WORKSPACE];

  it("are made with all they need, put online and asked", async () => {
    await using cli = await openCli();
    await using dir = await tempFolder();
    await writeFile(join(dir.path, "prompt.md"), "You are a guide.\n");
    await writeFile(join(dir.path, "avatar.png"), PNG);
    const made = await cli.run([
      ...["bots", "create", ...FROM, "--name", "Guide", "--description", "Knows the way"],
      ...["--prompt-file", join(dir.path, "prompt.md"), "--avatar", join(dir.path, "avatar.png")],
      ...["--prologue", "Where to?", "--publish"],
    ]);
    expect(made).toMatchObject({ code: 0, out: matching(/^\d+\n$/) });
    const botId = made.out.trim();
    expect(made.err).toMatch(new RegExp(`Bot ${botId} is created[\\s\\S]*online as an API service`));
    const shown = await cli.run(["bots", "show", botId]);
    expect(shown.out).toMatch(
      /^Guide \(\d+\)\nKnows the way\n[\s\S]*says first: Where to\?\n[\s\S]*\nYou are a guide\.\n$/,
    );
    expect(json(await cli.run(["bots", "show", botId, "--json"]))).toMatchObject([
      { botId, prompt: "You are a guide." },
    ]);
    expect((await cli.run(["ask", "Hi", "--bot", botId])).out).toBe("You said: Hi\n");
  });

  it("stay drafts until they are published", async () => {
    await using cli = await openCli();
    const [made] = json(await cli.run(["bots", "create", ...FROM, "--name", "Guide", "--json"]));
    const botId = String(made?.["botId"]);
    expect(await cli.run(["ask", "Hi", "--bot", botId])).toMatchObject({ code: 78, err: matching(/4015/) });
    expect(await cli.run(["bots", "publish", botId])).toMatchObject({ code: 0, out: `${botId}\n` });
    expect((await cli.run(["ask", "Hi", "--bot", botId])).code).toBe(0);
  });

  it("are listed: those that are online, or all", async () => {
    // Whether drafts that never were online are listed, nobody says.
    await using cli = await openCli({ switches: { newDraftsVisible: true } });
    const online = await cli.run(["bots", "list", ...FROM]);
    expect(online.out).toMatch(new RegExp(`^${STAND_IN_BOT}  online  [-\\d: ]+  Sandbox bot\\n$`));
    const all = json(await cli.run(["bots", "list", ...FROM, "--all", "--json"]));
    expect(all.map(({ botId }) => botId)).toContain(UNPUBLISHED_BOT);
    const none = await cli.run(["bots", "list", "--workspace", TEAM_WORKSPACE]);
    expect(none).toMatchObject({ code: 0, out: "", err: matching(/No published bots/) });
  });

  it("need a workspace where there are several; the only one is taken", async () => {
    await using cli = await openCli();
    const asked = await cli.run(["bots", "list"]);
    expect(asked).toMatchObject({ code: 64, out: "" });
    expect(asked.err).toContain(`--workspace ${TEAM_WORKSPACE}  Team`);
    cli.coze.accounts.workspaces.delete(TEAM_WORKSPACE);
    expect((await cli.run(["bots", "list"])).out).toContain(STAND_IN_BOT);
  });

  it("what Coze would refuse is told before it is sent", async () => {
    await using cli = await openCli();
    const long = await cli.run(["bots", "create", ...FROM, "--name", "A name that is far too long"]);
    expect(long).toMatchObject({ code: 69, err: matching(/name of a bot/) });
    const missing = await cli.run([
      "bots",
      "create",
      ...FROM,
      "--name",
      "Guide",
      "--prompt-file",
      "/nowhere",
    ]);
    expect(missing).toMatchObject({ code: 66, err: matching(/nowhere can't be read/) });
    expect(await cli.run(["bots", "create"])).toMatchObject({ code: 64 });
    expect(cli.coze.traffic.exchanges).toEqual([]);
  });
});

describe("conversations", () => {
  async function talk(cli: CozeCli, ...texts: string[]): Promise<string> {
    let conversation: string[] = [];
    for (const text of texts) {
      const [answer] = json(await cli.run(["ask", text, "--json", ...conversation]));
      conversation = ["--conversation", String(answer?.["conversationId"])];
    }
    return conversation[1] ?? "";
  }

  it("are shown as they went, the newest messages of them", async () => {
    await using cli = await openCli();
    const id = await talk(cli, "My name is Tuva", "What is my name?");
    const shown = await cli.run(["conversations", "show", id]);
    expect(shown.out.replaceAll(/^[-\d: ]+ {2}/gm, "")).toBe(
      "user\nMy name is Tuva\n\nassistant\nNice to meet you, Tuva.\n\n" +
        "user\nWhat is my name?\n\nassistant\nYour name is Tuva.\n\n",
    );
    const last = json(await cli.run(["conversations", "show", id, "--limit", "2", "--json"]));
    expect(last.map(({ text }) => text)).toEqual(["What is my name?", "Your name is Tuva."]);
  });

  it("are cleared: the bot forgets, the messages stay", async () => {
    await using cli = await openCli();
    const id = await talk(cli, "My name is Tuva");
    expect(await cli.run(["conversations", "clear", id])).toMatchObject({
      code: 0,
      err: matching(/forgotten/),
    });
    const again = await cli.run(["ask", "What is my name?", "--conversation", id]);
    expect(again.out).toBe("You have not told me your name yet.\n");
    expect((await cli.run(["conversations", "show", id])).out).toContain("My name is Tuva");
  });

  it("are listed, as far as this account created them with the bot", async () => {
    await using cli = await openCli();
    const ids = [await talk(cli, "one"), await talk(cli, "two")];
    const listed = json(await cli.run(["conversations", "list", "--json"]));
    expect(listed.map(({ conversationId }) => conversationId).toSorted()).toEqual(ids.toSorted());
    expect(json(await cli.run(["conversations", "list", "--json", "--limit", "1"]))).toHaveLength(1);
    const other = await cli.run(["conversations", "list", "--bot", UNPUBLISHED_BOT]);
    expect(other).toMatchObject({ code: 0, out: "", err: matching(/No conversations/) });
    expect(await cli.run(["conversations", "list", "--limit", "0"])).toMatchObject({ code: 64 });
    expect(await cli.run(["conversations", "show", "1"])).toMatchObject({ code: 69, err: matching(/4002/) });
  });
});

describe("auth status", () => {
  it("says how, as whom and until when", async () => {
    await using cli = await openCli();
    const env = { COZE_API_TOKEN_EXPIRES: "2030-01-02" };
    const { code, out } = await cli.run(["auth", "status"], { env });
    expect(code).toBe(0);
    expect(out).toContain(
      `signs in by COZE_API_TOKEN at ${cli.coze.url}\nas Sandbox (${STAND_IN_USER.id})\nuntil 2030-01-`,
    );
    expect(json(await cli.run(["auth", "status", "--json"]))).toMatchObject([
      { way: "COZE_API_TOKEN", host: cli.coze.url, user: { userId: STAND_IN_USER.id } },
    ]);
  });

  it("says that a token is refused, and never the token", async () => {
    await using cli = await openCli();
    cli.coze.tokens.clear();
    const { code, out, err } = await cli.run(["auth", "status", "--try-other-region"]);
    expect({ code, err }).toEqual({ code: 78, err: "" });
    expect(out).toContain("4100");
    expect(out).not.toContain(STAND_IN_TOKEN);
  });

  it("a token that may not tell whose it is is accepted all the same", async () => {
    await using cli = await openCli();
    cli.coze.faults.plan("GET /v1/users/me", { do: "answer", status: 200, body: { code: 4101, msg: "no" } });
    expect(await cli.run(["auth", "status"])).toMatchObject({ code: 0, out: matching(/may not tell/) });
  });
});

it.each([
  ["ask"],
  ["files", "upload"],
  ["bots", "list"],
  ["bots", "show"],
  ["bots", "create"],
  ["bots", "publish"],
  ["workspaces"],
  ["conversations", "list"],
  ["conversations", "show"],
  ["conversations", "clear"],
  ["auth", "login"],
  ["auth", "logout"],
  ["auth", "status"],
])("%s %s has help with an example of itself", async (...command) => {
  await using cli = await openCli();
  const { code, out } = await cli.run([...command, "--help"]);
  expect(code).toBe(0);
  expect(out).toContain("Example:");
  expect(out).toContain(`coze-bridge ${command.join(" ")}`);
  expect(out).toContain("Exit codes: 0 done");
  expect(out).toMatch(/[\u4e00-\u9fff]/);
});
