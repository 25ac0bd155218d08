import { expect, it } from "vitest";
import { createLog } from "../src/log.ts";

// Built from pieces so that no scanner takes them for real ones.
const SLACK = ["xoxb", "1234567890", "abcdefghij"].join("-");
const JWT = ["eyJhbGciOiJub25lIn0", "eyJpc3MiOiIxIn0", "c2lnbmF0dXJl"].join(".");
const PLANTED = "planted-secret-value";

function linesOf(write: (log: ReturnType<typeof createLog>) => void): string {
  const lines: string[] = [];
  write(createLog({ level: "debug", secrets: [PLANTED], write: (line) => lines.push(line) }));
  return lines.join("");
}

it("hides secrets by field, by value and by shape, also inside errors and their causes", () => {
  const cause = Object.assign(new Error(`POST /webhooks/123456/${"A".repeat(40)}/messages failed`), {
    requestBody: { json: { content: "what the model said" } },
  });
  const error = new Error(`call with ${SLACK} and ${PLANTED} refused`, { cause });
  const text = linesOf((log) => {
    log.error({ err: error, deep: { inner: { token: "t0p" } } }, "call failed");
    log.warn({ signIn: { privateKey: "k3y", clientSecret: "s3c" }, refreshToken: "r3f" }, "by field");
    log.warn({ note: `sent ${JWT} away` }, "by shape");
    log.child({ authorization: "Bearer abcdefgh12345" }).info({ note: `Bearer abcdefgh12345` }, "hello");
  });
  expect(text).toContain("call failed");
  expect(text).toContain("[hidden]");
  for (const secret of [
    "k3y",
    "s3c",
    "r3f",
    JWT,
    SLACK,
    PLANTED,
    "A".repeat(40),
    "t0p",
    "abcdefgh12345",
    "what the model said",
  ]) {
    expect(text).not.toContain(secret);
  }
});

it("keeps what finds a line again", () => {
  const text = linesOf((log) =>
    log.info({ turnId: "slack:T1:C1:1.2#r0", reference: "K7Q2FM" }, "turn started"),
  );
  expect(JSON.parse(text)).toMatchObject({
    level: "info",
    turnId: "slack:T1:C1:1.2#r0",
    msg: "turn started",
  });
});
