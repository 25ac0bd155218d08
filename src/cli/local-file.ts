import { access, constants, stat } from "node:fs/promises";
import type { LocalFile } from "../core/ports.ts";
import { CommandError } from "./command-error.ts";
import { EXIT } from "./exit-code.ts";

/**
 * A file of the user's: looked at, never removed. What is none, e.g. a named pipe, might never be opened.
 *
 * @throws {CommandError}
 */
export async function localFile(path: string): Promise<LocalFile> {
  try {
    await access(path, constants.R_OK);
    const found = await stat(path);
    if (!found.isFile()) throw new CommandError(EXIT.notFound, `${path} is no file.`);
    return { path, bytes: found.size, [Symbol.asyncDispose]: async () => undefined };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(EXIT.notFound, `${path} can't be read.`, { cause: error });
  }
}
