import { createHash } from "node:crypto";
import { request } from "undici";
import { z } from "zod";
import { ANSWER_FILE_NAME, answerFile, type MessageLimit } from "../../src/core/answer-file.ts";
import type { AnswerState } from "../../src/core/answer-state.ts";
import { PlatformError } from "../../src/core/errors.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import { Tries } from "../../src/core/tries.ts";
import type { ReplyTarget } from "./edit-writer.ts";
import { retryAfterOf, toPlatformError, toPlatformFailure } from "./errors.ts";
import { FILE_HOST } from "./files.ts";
import { MAX_PARTS } from "./render.ts";
import { isSlackHost } from "./response-url.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything, CALL_TIMEOUT_MS } from "./web-api.ts";

/** What is known of the file of a question's answer, whatever the question's revision. */
interface Slot {
  readonly id?: string | undefined;
  /** Of what it says. */
  readonly digest?: string | undefined;
  /** Slack has said that it stands in the thread. */
  readonly shared?: boolean | undefined;
  /** Files of earlier answers, still to be deleted. */
  readonly stale: readonly string[];
}

const slotSchema: z.ZodType<Slot> = z.object({
  id: z.string().optional(),
  digest: z.string().optional(),
  shared: z.boolean().optional(),
  stale: z.array(z.string()),
});

const SPACE = "slack-answer-file";
/** A question may be changed for 15 minutes; an answer that waits for its next try may take longer. */
const TTL_MS = 24 * 3_600_000;

const ticketSchema = z.object({ upload_url: z.string(), file_id: z.string() });
const infoSchema = z.object({
  file: z.object({ shares: z.record(z.string(), z.record(z.string(), z.unknown())).optional() }),
});

const FEATURE = "answers as files";
/** What will be refused the next time as well (slack.md §5, §10). */
const LASTING =
  /^(missing_scope|unknown_method|file_uploads_(except_images_)?disabled|file_type_not_allowed)$/;
const GONE = /^file_(not_found|deleted)$/;
/** Slack shares a file some time after it has said so (slack.md §5): how long that is waited for, in ms. */
const SHARING_MS = [500, 1_000, 2_000];

/**
 * The file that a long answer ends in: a message of Slack's own making, in the thread of the others.
 *
 * Nothing is on screen before `files.completeUploadExternal`, and that call cannot be repeated. So the file's id is
 * stored before it; whoever goes on, after an unknown outcome or a kill, asks Slack whether that file is shared.
 *
 * @see docs/reference/slack.md §5
 */
export class AnswerFile {
  readonly #context: SlackContext;
  readonly #target: ReplyTarget;
  #isRefused = false;
  /** The last state was cut: set by who cut it. */
  isWanted = false;

  constructor(context: SlackContext, target: ReplyTarget) {
    this.#context = context;
    this.#target = target;
  }

  /** Where no file may go the messages have to do. */
  get limit(): MessageLimit {
    const { settings, latches } = this.#context;
    const isOff = this.#isRefused || latches.isOff(FEATURE, this.#target.team);
    return isOff
      ? { messages: MAX_PARTS, rest: "notice" }
      : { messages: settings.maxReplyParts, rest: "file" };
  }

  /**
   * Shares the file of the last state, once, or takes that of an earlier answer away.
   *
   * @returns False when Slack takes no file here.
   * @throws {PlatformError}
   */
  async settle(answer: AnswerState, { signal }: { signal: AbortSignal }): Promise<boolean> {
    const text = this.isWanted ? answerFile(answer) : undefined;
    const tries = new Tries();
    for (;;) {
      try {
        await this.#bring(text, signal);
        return true;
      } catch (error) {
        if (!(error instanceof PlatformError) || isOver(error)) throw error;
        if (!error.retryable) return this.#refuse(error);
        tries.count(error);
        if (tries.areUsedUp) throw error;
        // The host that takes the bytes has no gate.
        await this.#context.sleep(tries.pauseMs(error, { gated: false }), signal);
      }
    }
  }

  #refuse(error: PlatformError): false {
    const { latches, log } = this.#context;
    const { team, reference } = this.#target;
    this.#isRefused = true;
    if (LASTING.test(error.platformCode ?? "")) latches.turnOff(FEATURE, team, error);
    else log.warn({ err: error, reference }, "slack took no file");
    return false;
  }

  async #bring(text: string | undefined, signal: AbortSignal): Promise<void> {
    const before = await this.#load();
    const slot = text === undefined ? withoutFile(before) : await this.#share(before, text, signal);
    for (const id of slot.stale) await this.#delete(id, signal);
    if (slot.stale.length > 0 || slot.id === undefined) await this.#keep({ ...slot, stale: [] });
  }

  async #share(before: Slot, text: string, signal: AbortSignal): Promise<Slot> {
    const digest = createHash("sha256").update(text).digest("base64url");
    const isBegun = before.id !== undefined && before.digest === digest;
    if (isBegun && before.shared === true) return before;
    const slot = isBegun ? before : { ...withoutFile(before), id: await this.#upload(text, signal), digest };
    if (!isBegun) await this.#keep(slot);
    if (!isBegun || !(await this.#isShared(slot.id ?? "", signal))) await this.#complete(slot, signal);
    const shared = { ...slot, shared: true };
    await this.#keep(shared);
    return shared;
  }

  /** @returns The file's id. A call that fails here has shown nothing, and is forgotten. */
  async #upload(text: string, signal: AbortSignal): Promise<string> {
    const bytes = Buffer.from(text);
    const args = { filename: ANSWER_FILE_NAME, length: bytes.length };
    const ticket = await this.#call("files.getUploadURLExternal", ticketSchema, args, signal);
    await sendBytes(ticket.upload_url, bytes, this.#context.settings.apiUrl, signal);
    return ticket.file_id;
  }

  async #complete({ id = "", stale }: Slot, signal: AbortSignal): Promise<void> {
    const { channel, thread } = this.#target.place;
    const args = { files: [{ id, title: ANSWER_FILE_NAME }], channel_id: channel, thread_ts: thread };
    try {
      await this.#call("files.completeUploadExternal", anything, args, signal);
    } catch (error) {
      if (!(error instanceof PlatformError) || !GONE.test(error.platformCode ?? "")) throw error;
      // Slack has thrown the upload away: from the start.
      await this.#keep({ stale });
      throw toPlatformFailure("files.completeUploadExternal", { error: "service_unavailable", cause: error });
    }
  }

  async #isShared(id: string, signal: AbortSignal): Promise<boolean> {
    for (const waitMs of [0, ...SHARING_MS]) {
      await this.#context.sleep(waitMs, signal);
      const shares = await this.#sharesOf(id, signal);
      if (shares.includes(this.#target.place.channel)) return true;
    }
    return false;
  }

  /** Channels that show a file. */
  async #sharesOf(id: string, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const { file } = await this.#call("files.info", infoSchema, { file: id }, signal);
      return Object.values(file.shares ?? {}).flatMap((channels) => Object.keys(channels));
    } catch (error) {
      if (!(error instanceof PlatformError) || error.retryable) throw error;
      const { reference, place } = this.#target;
      // Nobody can tell: better twice than not at all.
      if (!GONE.test(error.platformCode ?? ""))
        this.#context.log.warn({ err: error, reference, channel: place.channel }, "orphan possible");
      return [];
    }
  }

  async #delete(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#call("files.delete", anything, { file: id }, signal);
    } catch (error) {
      if (!(error instanceof PlatformError) || error.retryable) throw error;
      if (GONE.test(error.platformCode ?? "")) return;
      this.#context.log.warn({ err: error, file: id }, "slack file of an earlier answer stays");
    }
  }

  async #call<T>(
    method: string,
    schema: z.ZodType<T>,
    args: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<T> {
    const { api, pacer } = this.#context;
    const { team, place } = this.#target;
    // A file that is shared counts as a message of its channel (slack.md §1.9).
    const isPost = method === "files.completeUploadExternal";
    const gate = isPost ? pacer.post(team, place.channel) : pacer.method(team, "files");
    return pacedCall({ gate, permit: "final" }, () => api.call(method, schema, args, { signal }), { signal });
  }

  async #load(): Promise<Slot> {
    const slot = slotSchema.safeParse(await this.#context.tools.store.get(SPACE, this.#target.dedupeKey));
    return slot.success ? slot.data : { stale: [] };
  }

  async #keep({ id, digest, shared, stale }: Slot): Promise<void> {
    const { store } = this.#context.tools;
    const key = this.#target.dedupeKey;
    if (id === undefined && stale.length === 0) {
      await store.delete(SPACE, key);
      return;
    }
    const file = id === undefined || digest === undefined ? {} : { id, digest, shared: shared === true };
    await store.set(SPACE, key, { ...file, stale }, { ttlMs: TTL_MS });
  }
}

function withoutFile({ id, stale }: Slot): Slot {
  return { stale: id === undefined ? stale : [...stale, id] };
}

/** The thread itself takes no more, or nobody may write there. */
function isOver({ code, platformCode = "" }: PlatformError): boolean {
  return code === "PLATFORM_GONE" || code === "PLATFORM_AUTH" || platformCode === "not_in_channel";
}

/** Whether an answer's bytes may go to a URL: to Slack's own file host, or to the stand-in that plays Slack. */
export function mayUpload(url: string, apiUrl: string): boolean {
  const target = URL.parse(url);
  const api = new URL(apiUrl);
  if (target === null || target.username !== "" || target.password !== "") return false;
  if (target.protocol === "https:" && target.hostname === FILE_HOST && target.port === "") return true;
  return !isSlackHost(api.hostname) && target.origin === api.origin;
}

/** The URL is all the permission there is: no token goes along (slack.md §5). */
async function sendBytes(url: string, bytes: Buffer, apiUrl: string, signal: AbortSignal): Promise<void> {
  if (!mayUpload(url, apiUrl)) throw toPlatformFailure("upload", { error: "foreign_upload_url" });
  try {
    const answer = await request(url, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: bytes,
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
    });
    await answer.body.dump();
    if (answer.statusCode === 200) return;
    throw toPlatformFailure("upload", { httpStatus: answer.statusCode, ...retryAfterOf(answer.headers) });
  } catch (error) {
    throw signal.aborted ? signal.reason : toPlatformError("upload", error);
  }
}
