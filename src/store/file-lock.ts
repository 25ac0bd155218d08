import { readFile, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { BridgeError } from "../core/errors.ts";
import { type HoldOptions, holdFile } from "./held-file.ts";

/** The one holder of a data folder. Disposing it, or the end of the process however it comes, frees the folder. */
export interface FileLock extends Disposable {
  readonly path: string;
}

/**
 * Takes the folder for this process.
 *
 * @param options - `waitMs`: a rolling restart overlaps.
 * @throws {BridgeError} `QUEUE_OWNED` when another process holds it for longer than that.
 */
export async function openFileLock(folder: string, options: HoldOptions): Promise<FileLock> {
  const path = join(folder, "bridge.lock");
  const held = await holdFile(path, options);
  if (held === undefined) throw await ownedError(folder);
  try {
    await writeOwner(folder);
    return { path, [Symbol.dispose]: () => held[Symbol.dispose]() };
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

const OWNER = z.object({ pid: z.int(), host: z.string() });

function ownerPath(folder: string): string {
  return join(folder, "bridge.owner.json");
}

/** Who holds the lock, for the sentence another process shows; not the lock itself, so staleness does no harm. */
async function writeOwner(folder: string): Promise<void> {
  const fresh = `${ownerPath(folder)}.${process.pid}`;
  await writeFile(fresh, JSON.stringify({ pid: process.pid, host: hostname() }), { mode: 0o600 });
  await rename(fresh, ownerPath(folder));
}

async function ownedError(folder: string): Promise<BridgeError> {
  const owner = await readOwner(folder);
  const who = owner === undefined ? "another process" : `process ${owner.pid} on ${owner.host}`;
  return new BridgeError(
    "QUEUE_OWNED",
    `${who} owns ${join(folder, "bridge.sqlite")}. The built-in queue belongs to one process: stop the other one, ` +
      "or set REDIS_URL to run several. (Another DATA_DIR is only for a bot with tokens of its own.)",
  );
}

async function readOwner(folder: string): Promise<z.infer<typeof OWNER> | undefined> {
  try {
    return OWNER.parse(JSON.parse(await readFile(ownerPath(folder), "utf8")));
  } catch {
    // It only makes the sentence better; without it the sentence is still true.
    return undefined;
  }
}
