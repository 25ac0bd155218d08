/**
 * Brings what the tests need and npm cannot: a Redis server to start and kill. Runs before `npm test`.
 *
 * As root on Debian or Ubuntu it is installed; elsewhere one sentence says how to get it.
 */
import { spawnSync } from "node:child_process";

const SERVERS = ["redis-server", "valkey-server"];
// Installed for its program only: run level 1 keeps the package from starting a service.
const APT = ["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"];

process.exitCode = hasServer() || (canInstall() && install()) ? 0 : fail();

function hasServer(): boolean {
  return SERVERS.some((program) => runs(program));
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && runs("apt-get");
}

function runs(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

function install(): boolean {
  process.stderr.write("The tests need a Redis server: apt-get install redis-server\n");
  // The lists may be missing or old; whether that matters shows at the install.
  apt(["update", "--quiet"]);
  return apt(["install", "--quiet", "--yes", "--no-install-recommends", "redis-server"]) && hasServer();
}

function apt(args: readonly string[]): boolean {
  // Our stdout belongs to the test reporters.
  return spawnSync("env", [...APT, ...args], { stdio: ["ignore", 2, 2] }).status === 0;
}

function fail(): number {
  process.stderr.write(
    "The tests start a Redis server of their own, and none is on the PATH: install redis-server or valkey-server " +
      "(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis).\n",
  );
  return 1;
}
