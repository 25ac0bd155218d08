import { basename } from "node:path";
import type { StoredFile } from "../coze/stored.ts";
import type { CozeTools } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toLine, toTable } from "./lines.ts";
import { localFile } from "./local-file.ts";

/** What `coze-bridge files upload` is asked to do. */
export interface UploadCommand {
  readonly act: "files upload";
  readonly paths: readonly string[];
  readonly json: boolean;
}

/** Cells of a progress bar. */
const BAR_CELLS = 20;

/** Brings files to Coze, one after the other; prints the id of each as soon as it is there. */
export async function filesUpload({ paths, json }: UploadCommand, tools: CozeTools): Promise<ExitCode> {
  for (const path of paths) {
    const file = await uploadOne(path, tools);
    tools.terminal.write(json ? toLine(file) : toTable([[file.fileId, file.name]]));
  }
  return EXIT.ok;
}

/** Uploads one file, with a bar that shows how far it is. */
export async function uploadOne(path: string, { coze, terminal, signal }: CozeTools): Promise<StoredFile> {
  const name = basename(path);
  const { bytes } = await localFile(path);
  const onProgress = (sent: number): void => terminal.status(toBar(name, sent, bytes));
  onProgress(0);
  const file = await coze.files.upload({ path }, { name, signal, onProgress });
  terminal.status();
  return file;
}

function toBar(name: string, sent: number, bytes: number): string {
  const share = bytes === 0 ? 1 : Math.min(1, sent / bytes);
  const full = Math.round(share * BAR_CELLS);
  const bar = "█".repeat(full) + "░".repeat(BAR_CELLS - full);
  return `${bar} ${Math.floor(share * 100)} % ${name}`;
}
