/**
 * A process that takes tokens from a stored sign-in, until it is told to stop or is killed. Arguments: base URL, the
 * sign-in's file, and what it shall do: `go`, or `stop-before-store`, with the new pair in hand.
 */

import { OAuthEndpoint } from "../../../src/coze/auth/oauth-endpoint.ts";
import { StoredTokenSource } from "../../../src/coze/auth/stored-token-source.ts";
import type { TokenStore } from "../../../src/coze/auth/token-store.ts";
import { openSealer } from "../../../src/store/sealer.ts";
import { SecretFile } from "../../../src/store/secret-file.ts";
import { KeptLog } from "../coze-kit.ts";

const [baseUrl = "", path = "", mode = "go"] = process.argv.slice(2);
const signal = AbortSignal.timeout(60_000);
const file = new SecretFile(path, await openSealer({ key: "k".repeat(32) }));

/** The real store, but the process stands still before it writes a pair that has no mark any more. */
const stopping: TokenStore = {
  read: () => file.read(),
  lock: (options) => file.lock(options),
  remove: () => file.remove(),
  write: async (text) => {
    if (text.includes("refreshingSince")) return file.write(text);
    process.stdout.write("in hand\n");
    return new Promise(() => setTimeout(() => undefined, 60_000));
  },
};

await using endpoint = new OAuthEndpoint({ baseUrl });
const store = mode === "go" ? file : stopping;
const source = new StoredTokenSource({ store, endpoint, log: new KeptLog() });
try {
  const tokens = await Promise.all(Array.from({ length: 20 }, () => source.token({ signal })));
  process.stdout.write(`${[...new Set(tokens)].join(",")}\n`);
} catch (error) {
  process.stdout.write(`${String(error)}\n`);
}
