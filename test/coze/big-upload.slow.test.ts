import { execFile } from "node:child_process";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { STAND_IN_TOKEN, startCoze } from "../../sandbox/coze/coze-stand-in.ts";
import { aFile } from "./coze-kit.ts";
import { PDF } from "./file-bytes.ts";

const MB = 1024 * 1024;
/** The largest file that Coze takes (coze-api.md §10). */
const LARGEST = 512 * MB;

it("uploads the largest file with no more memory than a small one", async () => {
  await using coze = await startCoze();
  await using small = await aFile(PDF);
  await using large = await aFile(PDF);
  await truncate(small.path, MB);
  await truncate(large.path, LARGEST);
  const script = join(import.meta.dirname, "upload-process.ts");
  // On a busy machine V8's helper threads come late, and memory that is free still counts.
  const args = ["--single-threaded-gc", script, coze.url, STAND_IN_TOKEN, small.path, large.path];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const [before, after] = stdout.trim().split("\n").map(toReport);
  expect(before).toMatchObject({ sent: MB, bytes: MB });
  expect(after).toMatchObject({ sent: LARGEST, bytes: LARGEST });
  expect([...coze.service.files.values()].map(({ bytes }) => bytes)).toEqual([MB, LARGEST]);
  expect(((after?.maxRSS ?? Infinity) - (before?.maxRSS ?? 0)) / 1024).toBeLessThan(64);
});

interface Report {
  readonly sent: number;
  readonly bytes: number;
  readonly maxRSS: number;
}

function toReport(line: string): Report {
  // Written by the script of this test.
  return JSON.parse(line) as Report;
}
