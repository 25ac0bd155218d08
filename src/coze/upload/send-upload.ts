import { stat } from "node:fs/promises";
import type { z } from "zod";
import type { Gate } from "../../core/gate.ts";
import type { CozeHttp } from "../http.ts";
import { paced } from "../pacer.ts";
import type { CheckedFile } from "./file-kind.ts";
import { fileGone, toUploadBody, type UploadOptions, type UploadSource } from "./multipart.ts";

/** A file that goes to Coze as a form. */
export interface UploadCall extends UploadOptions {
  readonly path: string;
  readonly source: UploadSource;
  /** Where such calls wait for their turn. */
  readonly gate: Gate;
  /** Throws for what Coze would refuse; called before anything is sent. */
  readonly check: (file: CheckedFile) => Promise<void> | void;
}

/**
 * Sends a file when it is its turn. The source's stream is destroyed, whatever happens.
 *
 * @throws {CozeError}
 */
export async function sendUpload<T>(http: CozeHttp, call: UploadCall, schema: z.ZodType<T>): Promise<T> {
  const { path, source, name, signal, gate, check, onProgress } = call;
  // A stream may break while it waits; whoever reads it then is told.
  if ("stream" in source) source.stream.on("error", () => undefined);
  try {
    const size = await sizeOf(source, name);
    await check({ name, bytes: size, ...("path" in source && { path: source.path }) });
    const upload = toUploadBody(source, { name, size, onProgress });
    return await paced(gate, signal, () => http.call({ method: "POST", path, upload, signal }, schema));
  } finally {
    if ("stream" in source) source.stream.destroy();
  }
}

async function sizeOf(source: UploadSource, name: string): Promise<number> {
  if ("stream" in source) return source.bytes;
  const found = await stat(source.path).catch((error: unknown) => {
    throw fileGone(name, "there is no such file, or it may not be read", error);
  });
  if (!found.isFile()) throw fileGone(name, "it is a folder or a device, not a file");
  return found.size;
}
