import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { type CozeConfig, signInPath } from "./config.ts";
import type { Abortable, Log, Sealer } from "./core/ports.ts";
import { parsePrivateKey } from "./coze/auth/jwt.ts";
import { createJwtTokenSource } from "./coze/auth/jwt-token-source.ts";
import { OAuthEndpoint } from "./coze/auth/oauth-endpoint.ts";
import type { RenewedToken } from "./coze/auth/renewed-token.ts";
import { StoredTokenSource } from "./coze/auth/stored-token-source.ts";
import { staticToken, type TokenSource } from "./coze/auth/token-source.ts";
import { removeSignIn, type TokenStore } from "./coze/auth/token-store.ts";
import { openBridgeSealer } from "./open-sealer.ts";
import { SecretFile } from "./store/secret-file.ts";

/** Where the bridge's tokens come from. Disposing it lets a request that is under way come to its end first. */
export interface CozeTokens extends AsyncDisposable {
  readonly source: TokenSource;
  /** When somebody has to sign in anew, in ms since the epoch; `undefined` when never, or nobody knows. */
  readonly endsAt: () => number | undefined;
  /** Called now and then: keeps it from ending by disuse. @throws {BridgeError} */
  keep(options: Abortable): Promise<void>;
  /** What somebody does then. */
  readonly remedy: string;
}

/** Opens the way to sign in that is configured. @throws {BridgeError} `CONFIG_INVALID` */
export async function openCozeTokens(
  config: CozeConfig,
  { log }: { readonly log: Log },
): Promise<CozeTokens> {
  const { signIn, baseUrl } = config.coze;
  const { proxy } = config;
  switch (signIn.kind) {
    case "token":
      return {
        source: staticToken(signIn.token),
        endsAt: () => signIn.endsAt,
        keep: nothingToKeep,
        remedy: "make a new token at Coze, set COZE_API_TOKEN and COZE_API_TOKEN_EXPIRES, and start again",
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    case "jwt": {
      const { privateKey, accountId, ...app } = signIn;
      const endpoint = new OAuthEndpoint({ baseUrl, proxy });
      const source = createJwtTokenSource({
        ...{ endpoint, log, app: { ...app, privateKey: parsePrivateKey(privateKey) } },
        ...(accountId !== undefined && { accountId }),
      });
      return {
        source,
        endsAt: () => undefined,
        keep: nothingToKeep,
        remedy: "",
        ...disposeOf(source, endpoint),
      };
    }
    case "stored": {
      const endpoint = new OAuthEndpoint({ baseUrl, proxy });
      const store = openSignInStore(config.dataDir, await openBridgeSealer(config));
      const source = new StoredTokenSource({ endpoint, log, store });
      return {
        source,
        endsAt: () => source.endsAt,
        keep: (abortable) => source.keep(abortable),
        remedy: "run `coze-bridge auth login` again",
        ...disposeOf(source, endpoint),
      };
    }
  }
}

/** Where a person's sign-in is kept on this machine. */
export function openSignInStore(dataDir: string, sealer: Sealer): TokenStore {
  return new SecretFile(signInPath(dataDir), sealer);
}

/** Forgets it, whatever key it was sealed with. @returns Whether there was one. */
export async function forgetSignIn(dataDir: string, options: Abortable): Promise<boolean> {
  const path = signInPath(dataDir);
  return existsSync(dirname(path)) && removeSignIn(new SecretFile(path, UNUSED_SEALER), options);
}

/** What is only removed is neither written nor read. */
const UNUSED_SEALER: Sealer = {
  seal: () => {
    throw new Error("nothing is to be written");
  },
  open: () => undefined,
};

const nothingToKeep = (): Promise<void> => Promise.resolve();

function disposeOf(source: RenewedToken, endpoint: OAuthEndpoint): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await source.settled();
      await endpoint[Symbol.asyncDispose]();
    },
  };
}
