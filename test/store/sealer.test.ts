import { readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { openSealer } from "../../src/store/sealer.ts";
import { makeTestFolder } from "../queue/embedded.ts";

const KEY = "k".repeat(32);
const LATER = Date.now() + 60_000;

it("opens what it sealed, and shows nothing of it", async () => {
  const sealer = await openSealer({ key: KEY });
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (secret) => {
      expect(sealer.open(sealer.seal(secret, LATER))).toBe(secret);
    }),
  );
  const sealed = sealer.seal("interaction-token", LATER);
  expect(sealed).not.toContain("interaction");
  expect(sealer.seal("interaction-token", LATER)).not.toBe(sealed);
});

it("opens nothing that was altered anywhere, expiry included", async () => {
  const sealer = await openSealer({ key: KEY });
  const sealed = sealer.seal("secret", LATER);
  for (let index = 0; index < sealed.length; index += 1) {
    const other = sealed[index] === "A" ? "B" : "A";
    const altered = sealed.slice(0, index) + other + sealed.slice(index + 1);
    // The last base64 character may carry bits that mean nothing.
    if (decoded(altered) !== decoded(sealed)) expect(sealer.open(altered)).toBeUndefined();
  }
});

it.each(["", "s1", "s1..", "s1.a.b.c", "....", "not sealed at all"])(
  "opens no garbage: %j",
  async (sealed) => {
    expect((await openSealer({ key: KEY })).open(sealed)).toBeUndefined();
  },
);

it("opens nothing after its time", async () => {
  let now = 1_000;
  const sealer = await openSealer({ key: KEY, now: () => now });
  const sealed = sealer.seal("secret", 2_000);
  now = 1_999;
  expect(sealer.open(sealed)).toBe("secret");
  now = 2_000;
  expect(sealer.open(sealed)).toBeUndefined();
});

it("opens nothing sealed with another key", async () => {
  const sealed = (await openSealer({ key: KEY })).seal("secret", LATER);
  expect((await openSealer({ key: "x".repeat(32) })).open(sealed)).toBeUndefined();
  expect((await openSealer({ key: `${KEY}\n` })).open(sealed)).toBe("secret");
});

it("refuses a key that can be guessed, without repeating it", async () => {
  const opening = openSealer({ key: "hunter2" });
  await expect(opening).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await expect(opening).rejects.not.toThrow(/hunter2/);
});

it("makes a key file by itself that only its owner can read, and uses it again", async () => {
  await using folder = await makeTestFolder();
  const keyFile = join(folder.path, "new", "secret.key");
  const sealed = (await openSealer({ keyFile })).seal("secret", LATER);
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  expect((await openSealer({ keyFile })).open(sealed)).toBe("secret");
});

it("agrees on one key when several start at once", async () => {
  await using folder = await makeTestFolder();
  const keyFile = join(folder.path, "secret.key");
  const sealers = await Promise.all(Array.from({ length: 5 }, () => openSealer({ keyFile })));
  const sealed = sealers.map((sealer) => sealer.seal("secret", LATER));
  const again = await openSealer({ keyFile });
  expect(sealed.map((text) => again.open(text))).toEqual(Array.from({ length: 5 }, () => "secret"));
});

it("refuses a key file that holds something else, and leaves it alone", async () => {
  await using folder = await makeTestFolder();
  const keyFile = join(folder.path, "secret.key");
  await writeFile(keyFile, "oops\n");
  await expect(openSealer({ keyFile })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect(await readFile(keyFile, "utf8")).toBe("oops\n");
});

it("says so when its key file can't be read", async () => {
  await using folder = await makeTestFolder();
  await expect(openSealer({ keyFile: folder.path })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

function decoded(sealed: string): string {
  const cut = sealed.lastIndexOf(".");
  return sealed.slice(0, cut + 1) + Buffer.from(sealed.slice(cut + 1), "base64url").toString("hex");
}

it("says so when it can't keep a key of its own", async () => {
  await using folder = await makeTestFolder();
  const keyFile = join(folder.path, "secret.key");
  await symlink(join(folder.path, "gone"), keyFile);
  await expect(openSealer({ keyFile })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("secret.key can't be written") as string,
  });
});
