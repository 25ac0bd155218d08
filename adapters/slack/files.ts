import { open } from "node:fs/promises";
import { z } from "zod";
import { BridgeError, type ErrorCode, PlatformError } from "../../src/core/errors.ts";
import type { FetchOptions, LocalFile } from "../../src/core/ports.ts";
import type { Attachment } from "../../src/core/turn.ts";
import type { SlackAddress } from "./address.ts";
import { isSlackHost } from "./response-url.ts";
import type { SlackContext } from "./slack-context.ts";

/** Where Slack keeps files (slack.md §3.5 rule 1). */
export const FILE_HOST = "files.slack.com";
/** Paths that are files; an open path of the same host may echo the token (slack.md §3.5 rule 2). */
const FILE_PATH = /^\/(?:files-pri|files-tmb|files)\//;
/** Waits while a fresh upload is not ready (slack.md §3.5 rule 4), in ms. */
const NOT_READY_MS = [500, 1_000, 2_000, 4_000];

/**
 * Whether the bot's token may go to a URL. Exact by host and path; a stand-in that plays Slack serves files itself.
 *
 * @param apiUrl - Base of the Web API, which gets the token anyway.
 */
export function mayFetch(url: string, apiUrl: string): boolean {
  const target = URL.parse(url);
  if (target === null || target.username !== "" || target.password !== "") return false;
  if (!FILE_PATH.test(target.pathname)) return false;
  if (target.protocol === "https:" && target.hostname === FILE_HOST && target.port === "") return true;
  const api = new URL(apiUrl);
  return !isSlackHost(api.hostname) && target.origin === api.origin;
}

const fileInfo = z.object({
  file: z.object({
    mode: z.string().optional(),
    is_external: z.boolean().optional(),
    mimetype: z.string().optional(),
    url_private: z.string().optional(),
    url_private_download: z.string().optional(),
  }),
});

/** Brings a file of a message to this machine. @throws {BridgeError} one of the `FILE_…` codes, or `PLATFORM_…` */
export async function fetchSlackFile(
  context: SlackContext,
  attachment: Attachment,
  { special, ...options }: FetchOptions & { special: NonNullable<SlackAddress["files"]>[string] | undefined },
): Promise<LocalFile> {
  if (special === "external") throw failure("FILE_FORBIDDEN_HOST", attachment, "is kept outside of Slack");
  if (special === "gone")
    throw failure("FILE_GONE", attachment, "is deleted or hidden by the workspace's plan");
  let url = special === "stub" ? await loadUrl(context, attachment, options) : attachment.url;
  for (let tries = 0; ; tries += 1) {
    try {
      return await fetchOnce(context, attachment, url, options);
    } catch (error) {
      const wait = NOT_READY_MS[tries];
      if (!isNotReady(error)) throw error;
      // It was waited for: nobody has to try again.
      if (wait === undefined) throw new BridgeError(error.code, error.message, { cause: error });
      await context.sleep(wait, options.signal);
      url = await loadUrl(context, attachment, options);
    }
  }
}

function isNotReady(error: unknown): error is BridgeError {
  return error instanceof BridgeError && (error.code === "FILE_EMPTY" || error.code === "FILE_GONE");
}

async function fetchOnce(
  { tools, settings }: SlackContext,
  attachment: Attachment,
  url: string,
  options: FetchOptions,
): Promise<LocalFile> {
  if (!mayFetch(url, settings.apiUrl))
    throw failure("FILE_FORBIDDEN_HOST", attachment, "is not on Slack's file host");
  const file = await tools.download(url, {
    ...options,
    hosts: [new URL(url).hostname],
    headers: { authorization: `Bearer ${settings.botToken}` },
  });
  if (attachment.contentType?.startsWith("text/html") === true || !(await isHtml(file.path))) return file;
  await file[Symbol.asyncDispose]();
  // Without the scope Slack answers 200 with its login page (slack.md §3.5 rule 3).
  throw new PlatformError(
    "PLATFORM_PERMISSION",
    `Slack gave a login page instead of file ${attachment.id}: add the scope files:read to the app and reinstall it`,
    { platform: "slack", platformCode: "missing_scope" },
  );
}

async function isHtml(path: string): Promise<boolean> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
  return /^\s*(?:<!doctype html|<html)/i.test(buffer.toString("utf8", 0, bytesRead).replace(/^\uFEFF/, ""));
}

/** The full file object, for stubs of shared channels and for uploads that were not ready. */
async function loadUrl(
  { api }: SlackContext,
  attachment: Attachment,
  options: FetchOptions,
): Promise<string> {
  const { file } = await api
    .call("files.info", fileInfo, { file: attachment.id }, options)
    .catch((error: unknown) => {
      const gone =
        error instanceof PlatformError && /^file_(not_found|deleted)$/.test(error.platformCode ?? "");
      throw gone ? failure("FILE_GONE", attachment, "is deleted") : error;
    });
  if (file.is_external === true || file.mode === "external") {
    throw failure("FILE_FORBIDDEN_HOST", attachment, "is kept outside of Slack");
  }
  if (file.mode === "tombstone" || file.mode === "hidden_by_limit") {
    throw failure("FILE_GONE", attachment, "is deleted or hidden by the workspace's plan");
  }
  return file.url_private_download ?? file.url_private ?? "";
}

function failure(code: ErrorCode, { id }: Attachment, why: string): BridgeError {
  return new BridgeError(code, `Slack file ${id} ${why}`);
}
