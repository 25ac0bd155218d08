import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** The peer's program and its packages: a project of its own, so that nobody installs them who does not compare. */
export const PEER_FOLDER: string = join(import.meta.dirname, "..", "peer");

const MANIFEST = z.object({ dependencies: z.record(z.string(), z.string()) });
const INSTALLED = z.object({ version: z.string() });

/** The peer's packages in the versions that are measured. */
export function peerVersions(): Readonly<Record<string, string>> {
  return MANIFEST.parse(JSON.parse(readFileSync(join(PEER_FOLDER, "package.json"), "utf8"))).dependencies;
}

/** Installs the peer's packages unless they are there in their versions. */
export async function installPeer(say: (text: string) => void): Promise<void> {
  if (Object.entries(peerVersions()).every(([name, version]) => installedVersion(name) === version)) return;
  say("npm ci --prefix bench/peer: the peer's packages, some 190 of 100 MB, into bench/peer/node_modules");
  const npm = spawn("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", PEER_FOLDER], {
    stdio: "inherit",
  });
  const [code] = (await once(npm, "exit")) as [number | null];
  if (code !== 0) throw new Error(`npm ended with exit code ${code}`);
}

function installedVersion(name: string): string | undefined {
  try {
    const manifest = readFileSync(join(PEER_FOLDER, "node_modules", name, "package.json"), "utf8");
    return INSTALLED.parse(JSON.parse(manifest)).version;
  } catch {
    // Not there, or half-written: either way it is to be installed.
    return undefined;
  }
}
