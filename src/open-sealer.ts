import { join } from "node:path";
import type { Config } from "./config.ts";
import type { Sealer } from "./core/ports.ts";
import { openSealer } from "./store/sealer.ts";

/** The sealer of this bridge: by the operator's key, or by one in the data folder that is made when missing. */
export async function openBridgeSealer({
  secretKey,
  dataDir,
}: Pick<Config, "secretKey" | "dataDir">): Promise<Sealer> {
  return openSealer(secretKey === undefined ? { keyFile: join(dataDir, "secret.key") } : { key: secretKey });
}
