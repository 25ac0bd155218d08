import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { promisify } from "node:util";

/** A proxy on loopback, and all the names that can be reached through it and in no other way. */
export interface TlsProxy extends AsyncDisposable {
  /** With user and password. */
  readonly url: string;
  readonly password: string;
  /** Of the authority that the names' certificates are trusted by. */
  readonly caFile: string;
  /** `name:port` of every tunnel that was opened, in order. */
  readonly tunnels: readonly string[];
  /** Tunnels that were refused, since nobody said who they are. */
  readonly refused: number;
}

/** Never resolved by anybody (RFC 6761 §6.4). */
const DOMAIN = "test";

/**
 * Tunnels TLS as proxies do (CONNECT), to names below `.test` that nobody else can resolve: behind each stands, with a
 * certificate of its name, a server that speaks plain HTTP.
 *
 * @param servers - Port on loopback of each name.
 */
export async function startTlsProxy(servers: Readonly<Record<string, number>>): Promise<TlsProxy> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "coze-bridge-proxy-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const caFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const names = Object.keys(servers).map((name) => `DNS:${name}.${DOMAIN}`);
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=coze-bridge test"],
    ...["-addext", `subjectAltName=${names.join(",")}`, "-keyout", keyFile, "-out", caFile],
  ]);
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(caFile)]);
  const tunnels: string[] = [];
  const open = new Set<Socket>();
  const password = "open%20sesame";
  const wanted = `Basic ${Buffer.from(`ali:${decodeURIComponent(password)}`).toString("base64")}`;
  let refused = 0;
  const server = createServer();
  server.on("connect", (request, socket: Socket) => {
    open.add(socket.on("error", () => socket.destroy()));
    if (request.headers["proxy-authorization"] !== wanted) {
      refused += 1;
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n");
      return;
    }
    const target = request.url ?? "";
    tunnels.push(target);
    const port = servers[target.replace(`.${DOMAIN}:443`, "")];
    if (port === undefined) return void socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    const inside = new TLSSocket(socket, { isServer: true, key, cert });
    const outside = connect(port, "127.0.0.1");
    for (const end of [inside, outside]) end.on("error", () => socket.destroy());
    socket.on("close", () => outside.destroy());
    outside.on("close", () => inside.destroy());
    inside.pipe(outside).pipe(inside);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  const opened = stack.move();
  return {
    url: `http://ali:${password}@127.0.0.1:${port}`,
    password,
    caFile,
    tunnels,
    get refused() {
      return refused;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
