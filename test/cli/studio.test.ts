import { expect, it } from "vitest";
import { STORY } from "../../sandbox/coze/stories.ts";
import { openCli } from "./coze-cli.ts";

it("says what an answer of a self-hosted Coze Studio cost, which only a look at its chat tells", async () => {
  await using cli = await openCli({ flavor: "studio" });
  const { code, out, err } = await cli.run(["ask", "Tell me a story"]);
  expect({ code, out }).toEqual({ code: 0, out: `${STORY}\n` });
  expect(err).toMatch(/^692 tokens: 4 in, 688 out$/m);
});

it("does not take an answer for failed because nobody tells what it cost", async () => {
  await using cli = await openCli({ flavor: "studio" });
  cli.coze.faults.plan("GET /v3/chat/retrieve", { do: "answer", status: 500, body: "no" });
  const { code, out, err } = await cli.run(["ask", "Tell me a story"]);
  expect({ code, out }).toEqual({ code: 0, out: `${STORY}\n` });
  expect(err).not.toContain("tokens");
});

it("does not print half an answer as a whole one", async () => {
  await using cli = await openCli({ flavor: "studio", switches: { studioErrorThenCompleted: true } });
  const { code, err } = await cli.run(["ask", "late fail"]);
  expect(code).not.toBe(0);
  expect(err).toContain("code 5000");
});

it("says what a self-hosted Coze Studio does not have", async () => {
  await using cli = await openCli({ flavor: "studio" });
  for (const args of [["workspaces"], ["auth", "status"]]) {
    const { code, err } = await cli.run(args);
    expect(code).not.toBe(0);
    expect(err).toContain("a self-hosted Coze Studio has no ");
  }
  const login = await cli.run(["auth", "login", "--client-id", "1"]);
  expect(login.err).toContain("nobody signs in to a Coze Studio here");
});
