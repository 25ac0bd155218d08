import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { toUploadBody, type UploadSource } from "../multipart.ts";
import { type CozePacer, paced } from "../pacer.ts";
import { createdSchema } from "../wire.ts";

/** Files that questions and bots refer to (coze-api.md §10). Every method throws {@link CozeError}. */
export class FilesApi {
  readonly #http: CozeHttp;
  readonly #pacer: CozePacer;

  constructor(http: CozeHttp, { pacer }: { pacer: CozePacer }) {
    this.#http = http;
    this.#pacer = pacer;
  }

  /** Uploads as it is, without looking into the file. @returns Coze's file id. */
  async upload(source: UploadSource, { name, signal }: { name: string } & Abortable): Promise<string> {
    const upload = toUploadBody(source, name);
    const call: CozeCall = { method: "POST", path: "/v1/files/upload", upload, signal };
    return (await paced(this.#pacer.uploads, signal, () => this.#http.call(call, createdSchema))).id;
  }
}
