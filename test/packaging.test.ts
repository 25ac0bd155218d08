import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { OLDEST_NODE } from "../src/cli/demand-node.ts";
import { runProgram } from "../src/cli/program.ts";
import { loadConfig } from "../src/config.ts";
import { parseDuration } from "../src/duration.ts";
import { VARIABLE_NAMES } from "../src/variables.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const manifest = z
  .object({
    bin: z.record(z.string(), z.string()),
    engines: z.object({ node: z.string() }),
    scripts: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));
const dockerfile = read("Dockerfile");
const STRINGS = z.array(z.string());
const PART = {
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal("ALL")]),
  profiles: STRINGS.optional(),
};
const BRIDGE = z.object({
  ...PART,
  build: z.string(),
  env_file: z.string(),
  environment: z.record(z.string(), z.string()),
  depends_on: z.object({ redis: z.object({ condition: z.string(), required: z.literal(false) }) }),
  stop_grace_period: z.string(),
  ports: STRINGS.default([]),
  volumes: STRINGS.default([]),
  command: STRINGS.optional(),
});
const REDIS = z.object({
  ...PART,
  image: z.string(),
  command: STRINGS,
  user: z.string(),
  volumes: STRINGS,
  healthcheck: z.object({ test: STRINGS }),
});
const compose = z
  .object({
    services: z.object({ bridge: BRIDGE, worker: BRIDGE, redis: REDIS }),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(parse(read("docker-compose.yml"), { merge: true }));
const { bridge: service, worker, redis } = compose.services;

it("builds the image on the Node version that the tests ran on", () => {
  const images = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map((match) => match[1]);
  expect(images).toEqual([manifest.devDependencies["node"], manifest.devDependencies["node"]]);
  expect(read(".nvmrc").trim()).toBe(images[0]?.split(".")[0]);
});

it("starts what package.json calls coze-bridge, by the command that never plays", () => {
  const entry = /ENTRYPOINT \["node", "--enable-source-maps", "(.+)"\]/.exec(dockerfile)?.[1];
  expect(`./${entry}`).toBe(manifest.bin["coze-bridge"]);
  expect(existsSync(join(ROOT, "src/cli/main.ts"))).toBe(true);
  expect(manifest.engines.node).toBe(`>=${OLDEST_NODE.join(".")}`);
  expect(dockerfile).toMatch(/^CMD \["start"\]$/m);
});

it("copies only files that are there, and no sandbox", () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    (match) => match[1]?.split(" ") ?? [],
  );
  expect(copied.length).toBeGreaterThan(4);
  for (const file of copied) expect(existsSync(join(ROOT, file)), file).toBe(true);
  expect(copied).not.toContain("sandbox");
});

it("runs scripts that exist", () => {
  for (const [, script = ""] of dockerfile.matchAll(/npm run (\S+)/g))
    expect(manifest.scripts).toHaveProperty(script);
});

it("drops root, keeps its data in a volume and checks its own health", () => {
  expect(dockerfile).toMatch(/^USER node$/m);
  expect(dockerfile).toMatch(/^VOLUME \/data$/m);
  expect(dockerfile).toContain("/healthz");
  expect(service.volumes).toEqual([`data:${service.environment["DATA_DIR"]}`]);
  // On this machine the operator's PORT, in the container always the same.
  expect(service.ports).toEqual([`127.0.0.1:\${PORT:-8080}:${service.environment["PORT"]}`]);
});

it("sets only variables that the bridge knows", () => {
  const [, image = ""] = /^ENV (.+)$/m.exec(dockerfile) ?? [];
  const names = [...image.matchAll(/(\w+)=/g)]
    .map((match) => match[1] ?? "")
    .filter((name) => name !== "NODE_ENV");
  for (const name of [...names, ...Object.keys(service.environment)]) expect(VARIABLE_NAMES).toContain(name);
  expect(existsSync(join(ROOT, `${service.env_file}.example`))).toBe(true);
});

it("starts Redis and workers only with the profile, by a command line that the bridge knows", async () => {
  expect([service.profiles, worker.profiles, redis.profiles]).toEqual([undefined, ["redis"], ["redis"]]);
  expect(worker.command).toEqual(["start", "--role", "worker"]);
  const roles: string[] = [];
  const code = await runProgram(worker.command ?? [], {
    version: "",
    start: async ({ role }) => {
      roles.push(role);
      return 0;
    },
    dead: async () => 0,
    coze: async () => 0,
    exportAll: async () => 0,
    importAll: async () => 0,
    write: () => undefined,
    writeError: () => undefined,
  });
  expect([code, roles]).toEqual([0, ["worker"]]);
  expect(worker.ports).toEqual([]);
  expect(read(".env.example")).toContain("redis://redis:6379");
});

it("gives Redis what the queue demands: a file that is written, nothing evicted, an exact version", () => {
  const settings = redis.command.slice(1).join(" ");
  expect(settings).toContain("--appendonly yes");
  expect(settings).toContain("--maxmemory-policy noeviction");
  expect(redis.image).toMatch(/^redis:\d+\.\d+\.\d+-alpine$/);
  expect(redis.healthcheck.test).toContain("ping");
  expect(redis.volumes).toEqual(["redis:/data"]);
  expect(Object.keys(compose.volumes)).toEqual(["data", "redis"]);
});

it("lets running answers finish before the container is killed", () => {
  const graceMs = parseDuration(service.stop_grace_period) ?? 0;
  const env = { COZE_API_TOKEN: "t", COZE_BOT_ID: "1", DISCORD_BOT_TOKEN: "t" };
  expect(graceMs).toBeGreaterThan(loadConfig(env, () => "").shutdownGraceMs + 5_000);
});

it("names exact versions only", () => {
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read("bench/peer/package.json")));
  const all = [manifest.dependencies, manifest.devDependencies, dependencies].flatMap(Object.values);
  expect(all.length).toBeGreaterThan(40);
  for (const version of all) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

it.each(["package-lock.json", "bench/peer/package-lock.json"])(
  "keeps addresses of registries out of %s",
  (lockfile) => {
    expect(read(lockfile)).not.toMatch(/"resolved"|https?:\/\/registry/);
  },
);
