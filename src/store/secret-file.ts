import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { BridgeError } from "../core/errors.ts";
import type { Abortable, Sealer } from "../core/ports.ts";
import { holdFile } from "./held-file.ts";

/** A secret is good until it is replaced; the sealer wants an end, the last date JavaScript knows. */
const FOR_EVER = 8_640_000_000_000_000;
/** Who has the lock makes one request and writes; longer than this is a process that hangs, in ms. */
const LOCK_WAIT_MS = 90_000;

/**
 * One secret in a file of its own, sealed, readable for its owner only, shared by processes of one machine: whoever
 * wants to replace it takes the lock first.
 */
export class SecretFile {
  readonly #path: string;
  readonly #sealer: Sealer;

  constructor(path: string, sealer: Sealer) {
    this.#path = path;
    this.#sealer = sealer;
  }

  /** @returns `undefined` when there is none. @throws {BridgeError} `CONFIG_INVALID` when it cannot be opened. */
  async read(): Promise<string | undefined> {
    let sealed: string;
    try {
      sealed = await readFile(this.#path, "utf8");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new BridgeError(
        "CONFIG_INVALID",
        `${this.#path} can't be read; it must be a file of this user's`,
        {
          cause: error,
        },
      );
    }
    const secret = this.#sealer.open(sealed.trim());
    if (secret !== undefined) return secret;
    throw new BridgeError(
      "CONFIG_INVALID",
      `${this.#path} was sealed with another SECRET_KEY, or altered: set the key it was made with, or remove the file`,
    );
  }

  /**
   * Durable when it resolves; a kill leaves the old one or the new one, whole. Only for the holder of the lock.
   *
   * @throws {BridgeError} `QUEUE_UNAVAILABLE` when the disk does not take it.
   */
  async write(secret: string): Promise<void> {
    try {
      await this.#makeFolder();
      // One name for all: the lock lets in one writer at a time, and what a killed one left is overwritten.
      const fresh = `${this.#path}.new`;
      await writeSynced(fresh, `${this.#sealer.seal(secret, FOR_EVER)}\n`);
      await rename(fresh, this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      throw new BridgeError(
        "QUEUE_UNAVAILABLE",
        `${this.#path} can't be written: check the disk and the rights of DATA_DIR`,
        { cause: error, retryable: true },
      );
    }
  }

  /**
   * Gone for good when it resolves. Only for the holder of the lock.
   *
   * @returns Whether there was one.
   * @throws {BridgeError} `QUEUE_UNAVAILABLE` when it can't be removed.
   */
  async remove(): Promise<boolean> {
    try {
      const removed = await Promise.all([this.#path, `${this.#path}.new`].map(removeIfThere));
      await syncFolder(dirname(this.#path));
      return removed.includes(true);
    } catch (error) {
      throw new BridgeError(
        "QUEUE_UNAVAILABLE",
        `${this.#path} can't be removed for good: check the disk and the rights of DATA_DIR, and try again`,
        { cause: error, retryable: true },
      );
    }
  }

  /**
   * Resolves once no other process has it.
   *
   * @throws {BridgeError} `COZE_TIMEOUT` when another one keeps it for longer than its work takes; `CONFIG_INVALID` when
   *   it is something else.
   */
  async lock({ signal }: Abortable): Promise<Disposable> {
    const path = `${this.#path}.lock`;
    const held = await this.#hold(path, { signal });
    if (held !== undefined) return held;
    throw new BridgeError(
      "COZE_TIMEOUT",
      `another process has held ${path} for ${LOCK_WAIT_MS / 1000} s: it hangs, stop it`,
      { retryable: true },
    );
  }

  async #hold(path: string, { signal }: Abortable): Promise<Disposable | undefined> {
    try {
      await this.#makeFolder();
      return await holdFile(path, { waitMs: LOCK_WAIT_MS, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw new BridgeError(
        "CONFIG_INVALID",
        `${path} can't be held: DATA_DIR must be a folder of this user's with room on its disk; if it is, remove that file`,
        { cause: error },
      );
    }
  }

  async #makeFolder(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
  }
}

async function removeIfThere(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    // It may have been there.
    await handle.chmod(0o600);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Without this the new name may be forgotten with the power. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
