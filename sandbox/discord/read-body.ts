import type { IncomingMessage } from "node:http";
import type { NewFile } from "./world.ts";

/** More than any body a bot of ours sends (discord.md §2.1). */
const MAX_BODY_BYTES = 120 * 1024 * 1024;

/** Reads a request's body: JSON, or multipart with its parts in any order (discord.md §7.2); no body when it is neither. */
export async function readBody(
  request: IncomingMessage,
): Promise<{ body: unknown; files: readonly NewFile[]; bytes: number }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error("body too large");
    chunks.push(chunk);
  }
  const raw = Buffer.concat(chunks);
  const type = request.headers["content-type"] ?? "";
  if (type.startsWith("multipart/form-data")) return { ...(await readForm(raw, type)), bytes };
  return { body: parseJson(raw.toString("utf8")), files: [], bytes };
}

async function readForm(raw: Buffer, type: string): Promise<{ body: unknown; files: readonly NewFile[] }> {
  const form = await new Response(new Uint8Array(raw), { headers: { "content-type": type } }).formData();
  const payload = form.get("payload_json");
  const body = parseJson(typeof payload === "string" ? payload : "");
  const files: NewFile[] = [];
  for (const [name, value] of form) {
    const index = /^files\[(\d+)\]$/.exec(name)?.[1];
    if (index === undefined || typeof value === "string") continue;
    files[Number(index)] = {
      name: nameOf(body, index) ?? value.name,
      bytes: new Uint8Array(await value.arrayBuffer()),
      ...(value.type !== "" && { contentType: value.type }),
    };
  }
  return { body, files: files.filter((file) => file !== undefined) };
}

/** The JSON may name a file; else its part's name counts. */
function nameOf(body: unknown, index: string): string | undefined {
  const listed = (body as { attachments?: { id?: unknown; filename?: string }[] } | null)?.attachments;
  return listed?.find(({ id }) => String(id) === index)?.filename;
}

function parseJson(text: string): unknown {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    // The caller says 50109 (discord.md §6.3).
    return undefined;
  }
}
