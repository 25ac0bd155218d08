import { expect, it } from "vitest";
import { isVersionAtLeast, judgeDisk, judgeFileSystem, judgeFreeSpace } from "../../src/store/disk.ts";
import { makeTestFolder } from "../queue/embedded.ts";

it.each([
  ["NFS", 0x6969, "refuse"],
  ["SMB", 0x517b, "refuse"],
  ["CIFS", 0xff534d42, "refuse"],
  ["CIFS as a signed number", 0xff534d42 - 2 ** 32, "refuse"],
  ["SMB2", 0xfe534d42, "refuse"],
  ["FUSE", 0x65735546, "warn"],
  ["9p", 0x01021997, "warn"],
  ["ext4", 0xef53, "fine"],
  ["overlayfs", 0x794c7630, "fine"],
])("judges %s", (_name, type, verdict) => {
  expect(judgeFileSystem(type, "linux").verdict).toBe(verdict);
  expect(judgeFileSystem(type, "darwin").verdict).toBe("fine");
});

it("warns before the disk is full, with what is left", () => {
  expect(judgeFreeSpace(5_000_000).note).toContain("only 4 MiB");
  expect(judgeFreeSpace(1e12).verdict).toBe("fine");
});

it("compares versions as numbers", () => {
  expect(isVersionAtLeast("3.51.3", "3.51.3")).toBe(true);
  expect(isVersionAtLeast("3.53", "3.51.3")).toBe(true);
  expect(isVersionAtLeast("4.0.0", "3.51.3")).toBe(true);
  expect(isVersionAtLeast("3.51.2", "3.51.3")).toBe(false);
  expect(isVersionAtLeast("3.9.9", "3.51.3")).toBe(false);
});

it("finds the temporary folder of this machine good enough", async () => {
  await using folder = await makeTestFolder();
  expect((await judgeDisk(folder.path)).system.verdict).not.toBe("refuse");
});
