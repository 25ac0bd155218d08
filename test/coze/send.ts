import { expect } from "vitest";
import { STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import type { CozePair } from "./coze-kit.ts";

/** A token of another account, which the stand-in accepts after {@link addOther}. */
export const OTHER_TOKEN: string = ["another", "account", "token"].join("-");

export function addOther({ coze }: CozePair): void {
  coze.tokens.add(OTHER_TOKEN);
  coze.accounts.own(OTHER_TOKEN, { id: "7370000000000000009", userName: "other", nickName: "Other" });
}

/** What the stand-in answered. */
export interface Answer {
  readonly status: number;
  readonly code: number | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Speaks to the stand-in without the client: what the client never sends must be refused too. */
export async function send(
  { coze }: CozePair,
  method: string,
  path: string,
  body?: object,
  { token = STAND_IN_TOKEN }: { token?: string } = {},
): Promise<Answer> {
  const response = await fetch(`${coze.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const logId = coze.flavor === "studio" ? "x-log-id" : "x-tt-logid";
  expect(response.headers.get(logId)).toMatch(/^\d{32}$/);
  const text = await response.text();
  // The stand-in's own JSON objects; anything else is kept out by the brace.
  const json = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
  const { code } = json;
  return { status: response.status, code: typeof code === "number" ? code : undefined, body: json };
}
