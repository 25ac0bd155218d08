import { beforeEach, expect, it } from "vitest";
import { STAND_IN_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { CozeError } from "../../src/core/errors.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { checkBot } from "../../src/coze/check-bot.ts";
import { noAbort, openPair } from "./coze-kit.ts";

const MAY_FAIL = "questions may fail: Coze could not be asked for the bot";
/** What the operator is told of. */
let bad: CozeError[];
const onBad = (error: CozeError): void => void bad.push(error);
beforeEach(() => {
  bad = [];
});
const RETRIEVE = /^GET \/v1\/bots\//;

it("says that Coze knows the bot, and its name", async () => {
  await using pair = await openPair();
  await checkBot(STAND_IN_BOT, { bots: pair.client.bots, log: pair.log, onBad, signal: noAbort() });
  const { name } = await pair.client.bots.retrieve(STAND_IN_BOT, { signal: noAbort() });
  expect(pair.log.lines).toEqual([
    { level: "info", fields: { botId: STAND_IN_BOT, name }, message: "Coze knows the bot" },
  ]);
});

it.each([
  ["a wrong token", "COZE_AUTH", { tokens: staticToken("pat_of-somebody-else") }, STAND_IN_BOT],
  ["a bot that nobody has", "COZE_NOT_FOUND", {}, "7000000000000000001"],
])("says before anybody asks that questions may fail: %s", async (_, code, options, botId) => {
  await using pair = await openPair(options);
  await checkBot(botId, { bots: pair.client.bots, log: pair.log, onBad, signal: noAbort() });
  expect(pair.log.lines).toMatchObject([
    { level: "error", message: MAY_FAIL, fields: { botId, err: { code } } },
  ]);
  expect(bad).toMatchObject([{ code }]);
});

it("says so where Coze is not there", async () => {
  await using pair = await openPair();
  await pair.coze[Symbol.asyncDispose]();
  await checkBot(STAND_IN_BOT, { bots: pair.client.bots, log: pair.log, onBad, signal: noAbort() });
  expect(pair.log.lines).toMatchObject([{ level: "error", fields: { err: { code: "COZE_UNREACHABLE" } } }]);
});

it("draws no conclusion from a token that may not look", async () => {
  await using pair = await openPair();
  const body = { code: 4101, msg: "The token you entered does not have the required permissions" };
  pair.coze.faults.plan(RETRIEVE, { do: "answer", status: 200, body });
  await checkBot(STAND_IN_BOT, { bots: pair.client.bots, log: pair.log, onBad, signal: noAbort() });
  expect(pair.log.lines).toMatchObject([{ level: "debug", fields: { err: { code: "COZE_PERMISSION" } } }]);
  expect(bad).toEqual([]);
});

it("says nothing when the bridge stops meanwhile", async () => {
  await using pair = await openPair();
  const stop = new AbortController();
  stop.abort();
  await checkBot(STAND_IN_BOT, { bots: pair.client.bots, log: pair.log, onBad, signal: stop.signal });
  expect(pair.log.lines).toEqual([]);
});
