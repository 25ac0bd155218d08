import type { CozeConfig } from "../config.ts";
import { CozeError } from "../core/errors.ts";
import type { CozeUser } from "../coze/api/users.ts";
import { probeRegion } from "../coze/auth/probe-region.ts";
import { otherRegionOf } from "../coze/auth/region.ts";
import type { CozeTools } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toLine } from "./lines.ts";

/** What `coze-bridge auth status` is asked to do. */
export interface StatusCommand {
  readonly act: "auth status";
  /** Shows a refused token to Coze's other region as well. */
  readonly tryOtherRegion: boolean;
  readonly json: boolean;
}

interface Status {
  readonly way: string;
  readonly host: string;
  /** Absent when the token may not tell, or is refused. */
  readonly user?: CozeUser;
  readonly endsAt?: string;
  /** What Coze said when it knew nobody. */
  readonly refused?: string;
  readonly region?: "yours" | "other" | "neither";
}

/** Says how the bridge signs in to Coze, as whom, and until when. */
export async function authStatus(command: StatusCommand, tools: CozeTools): Promise<ExitCode> {
  const status = await look(command, tools);
  const { terminal } = tools;
  terminal.write(command.json ? toLine(status) : `${[...describe(status)].join("\n")}\n`);
  return status.refused === undefined ? EXIT.ok : EXIT.config;
}

async function look({ tryOtherRegion }: StatusCommand, tools: CozeTools): Promise<Status> {
  const { config, tokens, signal } = tools;
  const facts = { way: wayOf(config), host: config.coze.baseUrl };
  try {
    const user = await whoAmI(tools);
    const endsAt = tokens.endsAt();
    return {
      ...facts,
      ...(user !== undefined && { user }),
      ...(endsAt !== undefined && { endsAt: new Date(endsAt).toISOString() }),
    };
  } catch (error) {
    if (!(error instanceof CozeError) || error.code !== "COZE_AUTH") throw error;
    const { signIn, baseUrl } = config.coze;
    const other = otherRegionOf(baseUrl);
    if (!tryOtherRegion || other === undefined || signIn.kind !== "token") {
      return { ...facts, refused: error.message };
    }
    const region = await probeRegion({ token: signIn.token, yours: baseUrl, other, signal });
    return { ...facts, refused: error.message, region };
  }
}

/** @returns `undefined` when the token is known, but may not tell whose it is. */
async function whoAmI({ coze, signal }: CozeTools): Promise<CozeUser | undefined> {
  try {
    return await coze.users.me({ signal });
  } catch (error) {
    if (error instanceof CozeError && error.code === "COZE_PERMISSION") return undefined;
    throw error;
  }
}

function wayOf({ coze: { signIn } }: CozeConfig): string {
  switch (signIn.kind) {
    case "token":
      return "COZE_API_TOKEN";
    case "jwt":
      return `OAuth app ${signIn.clientId}`;
    case "stored":
      return "coze-bridge auth login";
  }
}

function* describe({ way, host, user, endsAt, refused, region }: Status): Generator<string, void, undefined> {
  yield `signs in by ${way} at ${host}`;
  if (user !== undefined) yield `as ${user.nickName || user.userName} (${user.userId})`;
  else if (refused === undefined) yield "as somebody whom the token may not tell";
  if (endsAt !== undefined) yield `until ${endsAt.slice(0, 16).replace("T", " ")} UTC`;
  if (refused !== undefined) yield refused;
  if (region === "other") yield "The token belongs to Coze's other region: set COZE_API_BASE to that.";
  else if (region === "neither") yield "Neither region knows the token: make a new one.";
}
