import { expect, it } from "vitest";
import { STAND_IN_USER } from "../../sandbox/coze/accounts.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { noAbort, openPair } from "./coze-kit.ts";

const options = { signal: noAbort() };

it("tells whose token it is", async () => {
  await using pair = await openPair();
  expect(await pair.client.users.me(options)).toMatchObject({
    userId: STAND_IN_USER.id,
    userName: "sandbox",
    nickName: "Sandbox",
  });
});

it("is how a token is proved: one that is not accepted is refused", async () => {
  await using pair = await openPair({ tokens: staticToken(["not", "accepted"].join("-")) });
  await expect(pair.client.users.me(options)).rejects.toMatchObject({ code: "COZE_AUTH", cozeCode: 4100 });
});

it("§22.42 is read with nothing but an id, a long number", async () => {
  await using pair = await openPair();
  const body = '{"code":0,"data":{"user_id":7391000000000000101,"user_name":null}}';
  pair.coze.faults.plan("GET /v1/users/me", { do: "answer", status: 200, body });
  expect(await pair.client.users.me(options)).toEqual({
    userId: "7391000000000000101",
    userName: "",
    nickName: "",
    avatarUrl: "",
  });
});
