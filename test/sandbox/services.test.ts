import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { expect, it } from "vitest";
import { startServices } from "../../sandbox/services.ts";

const EXAMPLE = parseEnv(readFileSync(join(import.meta.dirname, "../../.env.example"), "utf8"));

it("plays Coze for an untouched copy of the example, which names its address only", async () => {
  await using services = await startServices({ env: EXAMPLE });
  expect(services.bridgeEnv).toMatchObject({ COZE_API_BASE: services.coze.url });
});

it("leaves Coze to the settings that have a token", async () => {
  const proxy = { HTTPS_PROXY: "http://127.0.0.1:7890" };
  const env = { ...EXAMPLE, COZE_API_TOKEN: "some-token", COZE_BOT_ID: "1", ...proxy };
  await using services = await startServices({ env });
  const expected = { COZE_API_BASE: "https://api.coze.cn", COZE_BOT_ID: "1", ...proxy };
  expect(services.bridgeEnv).toMatchObject(expected);
});
