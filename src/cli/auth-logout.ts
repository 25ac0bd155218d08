import { readFileSync } from "node:fs";
import { type Environment, loadStorageConfig, signInPath } from "../config.ts";
import type { Abortable } from "../core/ports.ts";
import { forgetSignIn } from "../open-coze-tokens.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toLine } from "./lines.ts";
import type { Terminal } from "./terminal.ts";

/** What `coze-bridge auth logout` is asked to do. */
export interface LogoutCommand {
  readonly act: "auth logout";
  readonly json: boolean;
}

/** Forgets what `auth login` has kept on this machine; Coze itself offers no way to end it from here. */
export async function authLogout(
  { json }: LogoutCommand,
  { env, terminal, signal }: { env: Environment; terminal: Terminal } & Abortable,
): Promise<ExitCode> {
  const { dataDir } = loadStorageConfig(env, (path) => readFileSync(path, "utf8"));
  const signedOut = await forgetSignIn(dataDir, { signal });
  if (json) terminal.write(toLine({ signedOut }));
  const path = signInPath(dataDir);
  terminal.say(
    signedOut
      ? `Signed out: ${path} is removed. A bridge that runs goes on until its token ends; at Coze, the app keeps its permission until you withdraw it there.`
      : `Nobody was signed in: there is no ${path}.`,
  );
  return EXIT.ok;
}
