import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { BridgeError } from "../core/errors.ts";
import type { Sealer } from "../core/ports.ts";

const KEY_BYTES = 32;
/** NIST SP 800-38D §8.2.2: 96 random bits per message are safe for 2^32 messages under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Shorter keys can be guessed. */
const MIN_KEY_CHARACTERS = 32;

/** Where the key comes from: given by the operator (`SECRET_KEY`), or kept in a file that is made when missing. */
export type SealerOptions = ({ readonly key: string } | { readonly keyFile: string }) & {
  /** Ms since the epoch; default the system's clock. */
  readonly now?: () => number;
};

/**
 * Opens the sealer of secrets at rest (AES-256-GCM).
 *
 * @throws {BridgeError} `CONFIG_INVALID` when the key is too short, or its file holds something else or can't be read.
 */
export async function openSealer(options: SealerOptions): Promise<Sealer> {
  const { now = Date.now } = options;
  if ("key" in options) return new AesSealer(checkKey(options.key, "SECRET_KEY"), now);
  return new AesSealer(checkKey(await readOrMakeKey(options.keyFile), options.keyFile), now);
}

function checkKey(key: string, source: string): string {
  const trimmed = key.trim();
  if (trimmed.length >= MIN_KEY_CHARACTERS) return trimmed;
  throw new BridgeError(
    "CONFIG_INVALID",
    `${source} must hold at least ${MIN_KEY_CHARACTERS} random characters, e.g. from: openssl rand -base64 32`,
  );
}

async function readOrMakeKey(path: string): Promise<string> {
  const found = await readIfThere(path);
  if (found !== undefined) return found;
  try {
    return await makeKey(path);
  } catch (error) {
    throw new BridgeError(
      "CONFIG_INVALID",
      `${path} can't be written; DATA_DIR must be a folder of this user's with room on its disk`,
      { cause: error },
    );
  }
}

async function makeKey(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = await open(fresh, "wx", 0o600);
  try {
    await handle.writeFile(`${randomBytes(KEY_BYTES).toString("base64url")}\n`);
    await handle.sync();
    await handle.close();
    // A link never replaces: of two that start together, the first one's key stays.
    await link(fresh, path).catch((error: unknown) => {
      if (!hasCode(error, "EEXIST")) throw error;
    });
  } finally {
    await handle.close();
    await rm(fresh, { force: true });
  }
  return readFile(path, "utf8");
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw new BridgeError("CONFIG_INVALID", `${path} can't be read; it must be a file of this user's`, {
      cause: error,
    });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Sealed form: `s1.<key id>.<expiry, base 36>.<nonce, ciphertext and tag, base64url>`; all but the last is authenticated. */
class AesSealer implements Sealer {
  readonly #key: Uint8Array;
  readonly #keyId: string;
  readonly #now: () => number;

  constructor(secret: string, now: () => number) {
    this.#key = derive(secret, "key", KEY_BYTES);
    // Says which key sealed, after the operator changed it; says nothing about the key.
    this.#keyId = Buffer.from(derive(secret, "id", 6)).toString("base64url");
    this.#now = now;
  }

  seal(secret: string, expiresAt: number): string {
    const head = `s1.${this.#keyId}.${Math.trunc(expiresAt).toString(36)}`;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(head));
    const body = Buffer.concat([nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `${head}.${body.toString("base64url")}`;
  }

  open(sealed: string): string | undefined {
    const cut = sealed.lastIndexOf(".");
    const head = sealed.slice(0, Math.max(0, cut));
    const [version, keyId, expiry] = head.split(".");
    if (version !== "s1" || keyId !== this.#keyId || expiry === undefined) return undefined;
    // Not a number compares false, so a mangled expiry is an expired one.
    if (!(Number.parseInt(expiry, 36) > this.#now())) return undefined;
    return this.#decrypt(head, Buffer.from(sealed.slice(cut + 1), "base64url"));
  }

  #decrypt(head: string, body: Buffer): string | undefined {
    if (body.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", this.#key, body.subarray(0, NONCE_BYTES))
      .setAAD(Buffer.from(head))
      .setAuthTag(body.subarray(-TAG_BYTES));
    try {
      return (
        decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8")
      );
    } catch {
      // The tag does not fit: altered. That is an answer, not a failure.
      return undefined;
    }
  }
}

function derive(secret: string, purpose: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", `coze-bridge sealer ${purpose}`, bytes));
}
