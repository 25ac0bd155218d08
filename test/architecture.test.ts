import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..");

/** Who may import whom. First match of the importing file decides; packages are written as `package`. */
const RULES: readonly { from: RegExp; may: RegExp }[] = [
  { from: /^src\/core\//, may: /^src\/core\// },
  { from: /^src\/markdown\//, may: /^(src\/markdown\/|src\/core\/|package|node:)/ },
  // What is kept on Redis, queue or values, is reached in the same way.
  { from: /^src\/(queue|store)\//, may: /^(src\/core\/|src\/redis\/|package|node:)/ },
  { from: /^src\/(coze|redis|http)\//, may: /^(src\/core\/|src\/connections\.ts|package|node:)/ },
  {
    from: /^adapters\/discord\//,
    may: /^(adapters\/discord\/|src\/core\/|src\/markdown\/|src\/(wire|connections)\.ts|package|node:)/,
  },
  {
    from: /^adapters\/slack\//,
    may: /^(adapters\/slack\/|src\/core\/|src\/markdown\/|src\/(wire|connections)\.ts|package|node:)/,
  },
  // The command line and the composition root know everybody, but never the sandbox: the image has none.
  { from: /^src\//, may: /^(src\/|adapters\/|package|node:)/ },
  // Stand-ins speak the wire, and know nothing of the product's insides.
  { from: /^sandbox\/(coze|discord|slack|stand-in)/, may: /^(sandbox\/|package|node:)/ },
  { from: /^sandbox\//, may: /./ },
];

function sourceFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${folder}/${file}`);
}

/** What a file imports: repository paths, `node:…`, or `package`; a folder's own files count as allowed. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  // Statements only: sentences hold the word "from", too.
  const statements = /^(?:import|export)\s[^;"=(]*from "([^"]+)"|^import "([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  const names = [...text.matchAll(statements)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
  return names.map((name) => {
    if (name.startsWith(".")) return normalize(join(dirname(file), name));
    return name.startsWith("node:") ? name : "package";
  });
}

/** Imports against the rule; a file may always import from its own folder. */
function violations(file: string, imports: readonly string[]): string[] {
  const rule = RULES.find(({ from }) => from.test(file));
  const own = file
    .split("/")
    .slice(0, file.startsWith("src/") ? 2 : 1)
    .join("/");
  const sameFolder = (name: string): boolean => file.split("/").length > 2 && name.startsWith(`${own}/`);
  const inCore = own === "src/core";
  return imports
    .filter(
      (name) =>
        rule !== undefined && !rule.may.test(name) && (inCore || !sameFolder(name) || own === "adapters"),
    )
    .map((name) => `${file} -> ${name}`);
}

it("imports point inwards", () => {
  const files = ["src", "adapters", "sandbox"].flatMap(sourceFiles);
  expect(files.length).toBeGreaterThan(5);
  expect(files.flatMap((file) => violations(file, importsOf(file)))).toEqual([]);
});

it.each([
  ["src/core/turn.ts", "package"],
  ["src/core/turn.ts", "src/coze/client.ts"],
  ["adapters/discord/render.ts", "adapters/slack/render.ts"],
  ["src/coze/client.ts", "adapters/discord/index.ts"],
  ["src/coze/client.ts", "src/queue/sqlite-queue.ts"],
  ["src/coze/client.ts", "src/redis/redis-client.ts"],
  ["src/queue/redis-archive.ts", "src/store/redis-archive.ts"],
  ["src/redis/redis-client.ts", "src/queue/bullmq-queue.ts"],
  ["src/app.ts", "sandbox/main.ts"],
  ["sandbox/coze/server.ts", "src/core/turn.ts"],
])("would notice %s importing %s", (file, name) => {
  expect(violations(file, [name])).toEqual([`${file} -> ${name}`]);
});

it("lets a folder use its own files and the core", () => {
  expect(violations("src/coze/client.ts", ["src/coze/sse.ts", "src/core/turn.ts", "package"])).toEqual([]);
  expect(violations("src/store/redis-store.ts", ["src/redis/scan-keys.ts"])).toEqual([]);
  expect(violations("src/app.ts", ["adapters/slack/index.ts", "src/queue/sqlite-queue.ts"])).toEqual([]);
});
