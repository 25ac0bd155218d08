import { lookup } from "node:dns";
import { mkdtemp, open, rm } from "node:fs/promises";
import type { LookupFunction } from "node:net";
import { join } from "node:path";
import { type Dispatcher, request } from "undici";
import { createAgent } from "../connections.ts";
import { BridgeError } from "../core/errors.ts";
import type { Download, HttpProxy, LocalFile } from "../core/ports.ts";
import { createAddressGuard } from "./private-addresses.ts";

export interface DownloadSettings {
  /** Origins that may be fetched although they are no https host of a platform: the sandbox's own. */
  readonly trustedOrigins: readonly string[];
  /** Where temporary files go; it must exist. */
  readonly tempDir: string;
  /** A whole download, in ms, default 60 s. */
  readonly timeoutMs?: number;
  /** The machine's proxy maps public names into 198.18.0.0/15; default false. */
  readonly allowFakeIps?: boolean;
  /** Resolves the names of files' hosts, so that no address is looked at. */
  readonly proxy?: HttpProxy | undefined;
  /** Name resolution, default the system's. */
  readonly lookup?: LookupFunction;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Until the connection stands, in ms. */
const CONNECT_MS = 10_000;

/**
 * Makes the function that fetches attachments.
 *
 * No redirect is followed: a platform's host that sends us elsewhere is asking for our token's absence, or for a
 * sign-in (slack.md §3.5). Files are readable by us alone.
 *
 * @see docs/reference/discord.md §5.3
 */
export function createDownload(settings: DownloadSettings): Download {
  return async (url, { hosts, headers = {}, maxBytes, signal }) => {
    const target = toTarget(url, hosts, settings.trustedOrigins);
    const timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timeout = AbortSignal.timeout(timeoutMs);
    const both = AbortSignal.any([signal, timeout]);
    const agent = openAgent(settings, target.trusted);
    try {
      return await fetchFile(target.url, {
        agent,
        headers,
        maxBytes,
        signal: both,
        tempDir: settings.tempDir,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.aborted) {
        throw new BridgeError("FILE_TIMEOUT", `a download took over ${timeoutMs} ms`, {
          cause: error,
          retryable: true,
        });
      }
      throw toFileError(error, target.url.host);
    } finally {
      await agent.destroy();
    }
  };
}

/** Only these may be fetched; the address itself is a secret and stays out of the message. */
export function toTarget(
  url: string,
  hosts: readonly string[],
  trustedOrigins: readonly string[],
): { readonly url: URL; readonly trusted: boolean } {
  const parsed = URL.parse(url);
  if (parsed === null) throw new BridgeError("FILE_FORBIDDEN_HOST", "an attachment's address is no URL");
  const anonymous = parsed.username === "" && parsed.password === "";
  if (anonymous && trustedOrigins.includes(parsed.origin)) return { url: parsed, trusted: true };
  const allowed = parsed.protocol === "https:" && parsed.port === "" && hosts.includes(parsed.hostname);
  if (anonymous && allowed) return { url: parsed, trusted: false };
  throw new BridgeError("FILE_FORBIDDEN_HOST", `no files are fetched from ${parsed.origin}`);
}

/** Marks a name that resolves to an address of our own network. */
class ForbiddenAddress extends Error {
  override readonly name = "ForbiddenAddress";
}

/** One connection per file. The address that was checked is the one connected to: no second resolution. */
function openAgent(settings: DownloadSettings, trusted: boolean): Dispatcher {
  const resolve = settings.lookup ?? lookup;
  const isForbidden = createAddressGuard({ allowFakeIps: settings.allowFakeIps ?? false });
  const guarded: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, options, (error, address, family) => {
      const found = typeof address === "string" ? [address] : address.map((entry) => entry.address);
      if (error === null && found.some(isForbidden)) {
        callback(new ForbiddenAddress(`${hostname} is an address of a private network`), address, family);
      } else {
        callback(error, address, family);
      }
    });
  };
  const { proxy } = settings;
  return createAgent({ connectMs: CONNECT_MS, proxy, ...(!trusted && { lookup: guarded }) });
}

interface FetchFileOptions {
  readonly agent: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly tempDir: string;
}

async function fetchFile(url: URL, options: FetchFileOptions): Promise<LocalFile> {
  const { agent, headers, maxBytes, signal } = options;
  const response = await request(url, {
    dispatcher: agent,
    headers: { ...headers, "accept-encoding": "identity" },
    signal,
  });
  // Destroyed at every early exit by the agent.
  response.body.on("error", () => undefined);
  checkStatus(response.statusCode, url.host);
  const encoding = response.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") throw new BridgeError("FILE_GONE", `${url.host} sent a compressed file`);
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  return writeFile(response.body, options);
}

async function writeFile(body: AsyncIterable<Uint8Array>, options: FetchFileOptions): Promise<LocalFile> {
  const folder = await mkdtemp(join(options.tempDir, "attachment-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "content");
    let bytes = 0;
    await using file = await open(path, "wx", 0o600);
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > options.maxBytes) throw tooLarge(options.maxBytes);
      await file.writeFile(chunk);
    }
    if (bytes === 0) throw new BridgeError("FILE_EMPTY", "a download came to 0 bytes", { retryable: true });
    return { path, bytes, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function checkStatus(status: number, host: string): void {
  if (status === 200) return;
  if (status >= 300 && status < 400) {
    throw new BridgeError("FILE_FORBIDDEN_HOST", `${host} sent a redirect, which is not followed`);
  }
  const retryable = status === 408 || status === 429 || status >= 500;
  throw new BridgeError("FILE_GONE", `${host} answered with HTTP ${status}`, { retryable });
}

function tooLarge(maxBytes: number): BridgeError {
  return new BridgeError("FILE_TOO_LARGE", `a download is larger than ${maxBytes} bytes`);
}

function toFileError(error: unknown, host: string): BridgeError {
  if (error instanceof BridgeError) return error;
  if (error instanceof ForbiddenAddress) {
    return new BridgeError("FILE_FORBIDDEN_HOST", error.message, { cause: error });
  }
  return new BridgeError("FILE_GONE", `a download from ${host} broke`, { cause: error, retryable: true });
}
