import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { VARIABLE_NAMES } from "../src/config.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const manifest = z
  .object({
    bin: z.record(z.string(), z.string()),
    scripts: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));
const dockerfile = read("Dockerfile");
const service = z
  .object({
    build: z.string(),
    env_file: z.string(),
    environment: z.record(z.string(), z.string()),
    ports: z.array(z.string()),
    volumes: z.array(z.string()),
    read_only: z.literal(true),
  })
  .parse(
    z.object({ services: z.object({ bridge: z.unknown() }) }).parse(parse(read("docker-compose.yml")))
      .services.bridge,
  );

it("builds the image on the Node version that the tests ran on", () => {
  const images = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map((match) => match[1]);
  expect(images).toEqual([manifest.devDependencies["node"], manifest.devDependencies["node"]]);
  expect(read(".nvmrc").trim()).toBe(images[0]?.split(".")[0]);
});

it("starts what package.json calls coze-bridge, by the command that never plays", () => {
  const entry = /ENTRYPOINT \["node", "--enable-source-maps", "(.+)"\]/.exec(dockerfile)?.[1];
  expect(`./${entry}`).toBe(manifest.bin["coze-bridge"]);
  expect(existsSync(join(ROOT, "src/cli/main.ts"))).toBe(true);
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
  expect(service.ports).toEqual([`127.0.0.1:8080:${service.environment["PORT"]}`]);
});

it("sets only variables that the bridge knows", () => {
  const [, image = ""] = /^ENV (.+)$/m.exec(dockerfile) ?? [];
  const names = [...image.matchAll(/(\w+)=/g)]
    .map((match) => match[1] ?? "")
    .filter((name) => name !== "NODE_ENV");
  for (const name of [...names, ...Object.keys(service.environment)]) expect(VARIABLE_NAMES).toContain(name);
  expect(existsSync(join(ROOT, `${service.env_file}.example`))).toBe(true);
});

it("names exact versions only", () => {
  for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies })) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  }
});

it("keeps addresses of registries out of the lockfile", () => {
  expect(read("package-lock.json")).not.toMatch(/"resolved"|https?:\/\/registry/);
});
