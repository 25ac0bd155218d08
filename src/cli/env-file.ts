import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { BridgeError } from "../core/errors.ts";

/**
 * Adds what a `.env` says to an environment; what is set there already stays. No file is no failure.
 *
 * @throws {BridgeError} `CONFIG_INVALID` when it can't be read.
 */
export function loadEnvFile(path: string, env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(parseEnv(readText(path)))) env[name] ??= value;
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    // Editors of Windows begin files with a byte order mark, which would be a part of the first name.
    return new TextDecoder(bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : "utf-8").decode(bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    const en = `${path} can't be read; it must be a file of this user's`;
    const zh = `无法读取 ${path}；它必须是一个文件，并且当前用户有权读取`;
    throw new BridgeError("CONFIG_INVALID", `${en}\n${zh}`, { cause: error });
  }
}
