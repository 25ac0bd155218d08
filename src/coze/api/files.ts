import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import type { CozePacer } from "../pacer.ts";
import { type StoredFile, toStoredFile } from "../stored.ts";
import { type CheckedFile, checkUpload } from "../upload/file-kind.ts";
import type { UploadOptions, UploadSource } from "../upload/multipart.ts";
import { sendUpload } from "../upload/send-upload.ts";
import { fileSchema } from "../wire/files.ts";

/** Files that questions and bots refer to (coze-api.md §10). Every method throws {@link CozeError}. */
export class FilesApi {
  readonly #http: CozeHttp;
  readonly #pacer: CozePacer;

  constructor(http: CozeHttp, { pacer }: { pacer: CozePacer }) {
    this.#http = http;
    this.#pacer = pacer;
  }

  /**
   * Uploads a file of at most 512 MB, 200 MB to a self-hosted server. Coze keeps it for three months. Every call stores another one: an upload whose
   * outcome is `unknown` is for the caller to repeat.
   *
   * @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`, `FILE_TYPE` before anything is sent; of a stream only name and
   * size are looked at. `FILE_GONE` when the source ends early, goes on for too long, or breaks.
   */
  async upload(source: UploadSource, options: UploadOptions): Promise<StoredFile> {
    const checked = { ...options, maxBytes: this.#http.flavor.maxUploadBytes };
    const call = {
      ...options,
      path: "/v1/files/upload",
      source,
      gate: this.#pacer.uploads,
      check: (file: CheckedFile) => checkUpload(file, checked),
    };
    return toStoredFile(await sendUpload(this.#http, call, fileSchema));
  }

  /** What Coze knows of a file; it hands none out (coze-api.md §10). */
  async retrieve(fileId: string, { signal }: Abortable): Promise<StoredFile> {
    const query = { file_id: fileId };
    const call: CozeCall = { method: "GET", path: "/v1/files/retrieve", query, signal };
    return toStoredFile(await this.#http.call(call, fileSchema));
  }
}
