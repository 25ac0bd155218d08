import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type CozeCli, openCli, type Ran } from "./coze-cli.ts";
import { tempFolder } from "./temp-folder.ts";

const APP = "1234567890.app.coze";

/** Runs `auth login`; somebody decides as soon as the page is told. */
async function login(
  cli: CozeCli,
  { dataDir, decision, args = [] }: { dataDir: string; decision: "allowed" | "denied"; args?: string[] },
): Promise<Ran> {
  cli.coze.oauth.apps.set(APP, { kind: "native", redirectUris: [] });
  let told = "";
  const onWrite = (text: string): void => {
    told += text;
    const code = /user_code=([\w-]+)/.exec(told)?.[1];
    if (code !== undefined) cli.coze.oauth.decideDevice(code, decision);
  };
  const env = { COZE_API_TOKEN: "", DATA_DIR: dataDir };
  return cli.run(["auth", "login", "--client-id", APP, ...args], { env, onWrite });
}

it("signs a person in for every command that follows", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  const env = { COZE_API_TOKEN: "", DATA_DIR: dir.path };
  expect(await cli.run(["auth", "status"], { env })).toMatchObject({ code: 78 });
  const { code, out, err } = await login(cli, { dataDir: dir.path, decision: "allowed" });
  expect(code).toBe(0);
  expect(out).toMatch(/^Open http:\/\/127\.0\.0\.1:\d+\/\S+user_code=\S+\nand check that it shows \S+\.\n$/);
  expect(err).toContain("Signed in at");
  const status = await cli.run(["auth", "status"], { env });
  expect(status.out).toMatch(/^signs in by coze-bridge auth login at [\s\S]*\nuntil 20\d\d-/);
  expect((await cli.run(["ask", "Hi"], { env })).out).toBe("You said: Hi\n");
});

it("forgets who signed in", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  const env = { COZE_API_TOKEN: "", DATA_DIR: dir.path };
  await login(cli, { dataDir: dir.path, decision: "allowed" });
  // Whoever signs in otherwise by now, or has lost the key, can be rid of it, too.
  const otherwise = {
    ...env,
    COZE_FLAVOR: "studio",
    SECRET_KEY: "another key than that, long enough for it",
  };
  const { code, out, err } = await cli.run(["auth", "logout"], { env: otherwise });
  expect({ code, out }).toEqual({ code: 0, out: "" });
  expect(err).toMatch(/^Signed out: \S+coze\.tokens is removed\./);
  expect(await readdir(join(dir.path, "sign-in"))).not.toContain("coze.tokens");
  expect(await cli.run(["auth", "status"], { env })).toMatchObject({ code: 78 });
  const again = await cli.run(["auth", "logout", "--json"], { env });
  expect({ code: again.code, out: again.out }).toEqual({ code: 0, out: '{"signedOut":false}\n' });
});

it("tells scripts where to go, and that it is done", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  const { out } = await login(cli, { dataDir: dir.path, decision: "allowed", args: ["--json"] });
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(lines).toEqual([
    {
      url: expect.stringContaining("user_code=") as string,
      code: expect.any(String) as string,
      until: expect.any(String) as string,
    },
    { signedIn: true, endsAt: expect.any(String) as string },
  ]);
});

it("ends when the person says no, and keeps nothing", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  expect(await login(cli, { dataDir: dir.path, decision: "denied" })).toMatchObject({ code: 78 });
  const env = { COZE_API_TOKEN: "", DATA_DIR: dir.path };
  expect(await cli.run(["auth", "status"], { env })).toMatchObject({ code: 78 });
});

it("says what is wrong with its folder before anybody signs in", async () => {
  await using cli = await openCli();
  await using dir = await tempFolder();
  await writeFile(join(dir.path, "sign-in"), "in the way");
  const { code, out, err } = await login(cli, { dataDir: dir.path, decision: "allowed" });
  expect({ code, out }).toEqual({ code: 78, out: "" });
  expect(err).toMatch(/coze\.tokens\.lock can't be held/);
  await rm(join(dir.path, "sign-in"));
  await mkdir(join(dir.path, "sign-in"));
  await writeFile(join(dir.path, "sign-in", "coze.tokens.lock"), "no lock of ours, but something else");
  const other = await login(cli, { dataDir: dir.path, decision: "allowed" });
  expect({ code: other.code, out: other.out }).toEqual({ code: 78, out: "" });
});
