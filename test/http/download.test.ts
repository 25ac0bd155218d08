import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, LookupFunction } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createDownload, type DownloadSettings, toTarget } from "../../src/http/download.ts";
import { createAddressGuard } from "../../src/http/private-addresses.ts";

interface FileHost extends AsyncDisposable {
  readonly origin: string;
  readonly settings: DownloadSettings;
  readonly requests: string[];
  /** What lies in the temporary folder. */
  files(): Promise<string[]>;
}

/** A file host on loopback, and settings that trust it. */
async function openHost(answer: RequestListener): Promise<FileHost> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(JSON.stringify(request.headers));
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  // A listening TCP server has an address of this kind.
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tempDir = await mkdtemp(join(tmpdir(), "download-"));
  return {
    origin,
    requests,
    settings: { trustedOrigins: [origin], tempDir },
    files: () => readdir(tempDir),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(tempDir, { recursive: true });
    },
  };
}

const OPTIONS = { hosts: ["files.slack.com"], maxBytes: 1_000, signal: new AbortController().signal };

describe("slack.md §14.50 addresses that get neither request nor token", () => {
  it.each([
    "https://files.slack.com@evil.example/x",
    "https://user:secret@files.slack.com/x",
    "https://files.slack.com.evil.example/x",
    "https://files.slack.com:8443/x",
    "http://files.slack.com/x",
    "https://filеs.slack.com/x",
    "https://slack.com/x",
    "file:///etc/passwd",
    "not a url",
    "//files.slack.com/x",
  ])("%s", async (url) => {
    expect(() => toTarget(url, OPTIONS.hosts, [])).toThrow(
      expect.objectContaining({ code: "FILE_FORBIDDEN_HOST" }),
    );
    const download = createDownload({ trustedOrigins: [], tempDir: tmpdir() });
    await expect(download(url, OPTIONS)).rejects.toMatchObject({ code: "FILE_FORBIDDEN_HOST" });
  });

  it.each(["https://files.slack.com/x", "https://FILES.slack.com/x", "https://files.slack.com:443/x?y=1"])(
    "but %s is fetched",
    (url) => {
      expect(toTarget(url, OPTIONS.hosts, []).trusted).toBe(false);
    },
  );

  it("a trusted origin is one scheme, host and port, and never with a user", () => {
    const trusted = ["http://127.0.0.1:4000"];
    expect(toTarget("http://127.0.0.1:4000/x", [], trusted).trusted).toBe(true);
    for (const url of ["http://127.0.0.1:4001/x", "https://127.0.0.1:4000/x", "http://u@127.0.0.1:4000/x"]) {
      expect(() => toTarget(url, [], trusted)).toThrow();
    }
  });
});

describe("discord.md §5.3 names that lead into a private network", () => {
  const resolvingTo =
    (address: string): LookupFunction =>
    (_hostname, { all }, callback) => {
      const family = address.includes(":") ? 6 : 4;
      if (all === true) callback(null, [{ address, family }]);
      else callback(null, address, family);
    };

  it.each(["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1"])("%s is not connected to", async (address) => {
    const lookup = resolvingTo(address);
    const download = createDownload({ trustedOrigins: [], tempDir: tmpdir(), lookup });
    await expect(download("https://files.slack.com/x", OPTIONS)).rejects.toMatchObject({
      code: "FILE_FORBIDDEN_HOST",
    });
  });

  it.each([
    ["0.0.0.0", true],
    ["100.64.0.1", true],
    ["172.31.255.255", true],
    ["192.168.1.1", true],
    ["198.19.255.255", true],
    ["224.0.0.1", true],
    ["255.255.255.255", true],
    ["::", true],
    ["fe80::1", true],
    ["fd00::1", true],
    ["ff02::1", true],
    ["::ffff:127.0.0.1", true],
    ["::ffff:7f00:1", true],
    ["64:ff9b::10.0.0.1", true],
    ["2002:7f00:1::", true],
    ["172.32.0.1", false],
    ["162.159.130.233", false],
    ["::ffff:162.159.130.233", false],
    ["64:ff9b::162.159.130.233", false],
    ["2606:4700::1", false],
  ])("%s is refused: %s", (address, refused) => {
    expect(createAddressGuard({ allowFakeIps: false })(address)).toBe(refused);
  });

  it("the range of fake-IP proxies can be allowed, it alone", () => {
    const isForbidden = createAddressGuard({ allowFakeIps: true });
    expect(isForbidden("198.18.0.7")).toBe(false);
    expect(isForbidden("127.0.0.1")).toBe(true);
  });
});

describe("slack.md §14.49 what a host may do", () => {
  const fails = async (answer: RequestListener, expected: object, settings: object = {}): Promise<void> => {
    await using host = await openHost(answer);
    const download = createDownload({ ...host.settings, ...settings });
    await expect(download(`${host.origin}/x`, OPTIONS)).rejects.toMatchObject(expected);
    expect(await host.files()).toEqual([]);
  };

  it("a file is streamed to a place of our own, with the headers given, and goes away again", async () => {
    await using host = await openHost((_request, response) => response.end("content"));
    const download = createDownload(host.settings);
    const file = await download(`${host.origin}/x`, { ...OPTIONS, headers: { authorization: "Bearer t" } });
    expect(file.bytes).toBe(7);
    expect(await readFile(file.path, "utf8")).toBe("content");
    expect((await stat(file.path)).mode & 0o777).toBe(0o600);
    expect(host.requests[0]).toContain('"authorization":"Bearer t"');
    await file[Symbol.asyncDispose]();
    await file[Symbol.asyncDispose]();
    expect(await host.files()).toEqual([]);
  });

  it("a file of exactly the limit is taken", async () => {
    await using host = await openHost((_request, response) => response.end("x".repeat(1_000)));
    await using file = await createDownload(host.settings)(`${host.origin}/x`, OPTIONS);
    expect(file.bytes).toBe(1_000);
  });

  it.each([301, 302, 307])("a redirect (%i) is not followed", async (status) => {
    const headers = { location: "https://files.slack.com/elsewhere" };
    await fails((_request, response) => response.writeHead(status, headers).end(), {
      code: "FILE_FORBIDDEN_HOST",
    });
  });

  it.each([
    [401, false],
    [403, false],
    [404, false],
    [410, false],
    [429, true],
    [500, true],
  ])("HTTP %i means that the file is not there (again later: %s)", async (status, retryable) => {
    await fails((_request, response) => response.writeHead(status).end(), { code: "FILE_GONE", retryable });
  });

  it("a length over the limit is believed", async () => {
    const answer: RequestListener = (_request, response) => {
      response.writeHead(200, { "content-length": "1001" });
      response.flushHeaders();
    };
    await fails(answer, { code: "FILE_TOO_LARGE" });
  });

  it("an endless body is left at the limit", async () => {
    const answer: RequestListener = (_request, response) => {
      const more = (): void => {
        while (response.write("x".repeat(100)));
        response.once("drain", more);
      };
      more();
    };
    await fails(answer, { code: "FILE_TOO_LARGE" });
  });

  it("a body shorter than its length is no file", async () => {
    const answer: RequestListener = (request, response) => {
      response.writeHead(200, { "content-length": "900" });
      response.write("x", () => request.socket.destroy());
    };
    await fails(answer, { code: "FILE_GONE", retryable: true });
  });

  it("no bytes are no file, but may come later", async () => {
    await fails((_request, response) => response.end(), { code: "FILE_EMPTY", retryable: true });
  });

  it("silence is a time-out, before the answer and in it", async () => {
    const settings = { timeoutMs: 50 };
    await fails(() => undefined, { code: "FILE_TIMEOUT", retryable: true }, settings);
    await fails((_request, response) => void response.write("x"), { code: "FILE_TIMEOUT" }, settings);
  });

  it("a compressed file was not asked for", async () => {
    const headers = { "content-encoding": "gzip" };
    await fails((_request, response) => response.writeHead(200, headers).end("x"), { code: "FILE_GONE" });
  });

  it("nobody there is worth another try", async () => {
    await using host = await openHost(() => undefined);
    const settings = { ...host.settings, trustedOrigins: ["http://127.0.0.1:1"] };
    await expect(createDownload(settings)("http://127.0.0.1:1/x", OPTIONS)).rejects.toMatchObject({
      code: "FILE_GONE",
      retryable: true,
    });
  });

  it("an abort passes its reason on and leaves nothing behind", async () => {
    await using host = await openHost((_request, response) => void response.write("x"));
    const stop = new AbortController();
    const reason = new Error("stopped");
    const running = createDownload(host.settings)(`${host.origin}/x`, { ...OPTIONS, signal: stop.signal });
    await expect.poll(() => host.requests.length).toBe(1);
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(await host.files()).toEqual([]);
  });

  it("a secret address stays out of the message", async () => {
    await using host = await openHost((_request, response) => response.writeHead(404).end());
    const url = `${host.origin}/x?signature=secret`;
    await expect(createDownload(host.settings)(url, OPTIONS)).rejects.toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("secret") as string }),
    );
  });
});
