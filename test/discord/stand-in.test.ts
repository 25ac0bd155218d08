import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";

let clock: VirtualClock;
let discord: DiscordStandIn;

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2026, 0, 2));
  discord = await startDiscord({ clock });
});

afterEach(() => discord[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { readonly [key: string]: unknown };
}

async function call(method: string, path: string, body?: unknown, headers: object = {}): Promise<Answer> {
  const multipart = body instanceof FormData;
  const response = await fetch(`${discord.apiUrl}/v10${path}`, {
    method,
    headers: {
      authorization: `Bot ${discord.token}`,
      "user-agent": "DiscordBot (https://example.org, 1.0)",
      ...(!multipart && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: multipart || body instanceof Blob ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith("{") ? (JSON.parse(text) as Answer["body"]) : {},
  };
}

/** `files[0]`, `files[1]`, … of these sizes, and what is said about them. */
function formOf(payload: object, sizes: readonly number[]): FormData {
  const form = new FormData();
  sizes.forEach((size, index) => {
    form.append(`files[${index}]`, new Blob([new Uint8Array(size)]), `${index}.bin`);
  });
  form.append("payload_json", JSON.stringify(payload));
  return form;
}

function ids(kept: string | undefined, count: number): readonly object[] {
  return [{ id: kept }, ...Array.from({ length: count }, (_, index) => ({ id: String(index) }))];
}

const create = (body: object): Promise<Answer> => call("POST", `/channels/${discord.general}/messages`, body);

describe("a create is refused", () => {
  it.each([
    ["over 2,000 code points", { content: "😀".repeat(2001) }, 400, 50035],
    ["when it is empty", { content: "  " }, 400, 50006],
    ["with a nonce over 25 (§11.22)", { content: "a", nonce: "x".repeat(26) }, 400, 50035],
    [
      "with contradicting mentions",
      { content: "a", allowed_mentions: { parse: ["users"], users: ["1"] } },
      400,
      50035,
    ],
    ["with eleven embeds", { embeds: Array.from({ length: 11 }, () => ({})) }, 400, 50035],
    ["with content and Components V2", { content: "a", flags: 32_768 }, 400, 50035],
    ["in reply to nothing", { content: "a", message_reference: { message_id: "1" } }, 400, 50035],
    ["naming a file that did not come", { content: "a", attachments: [{ id: "0" }] }, 400, 50035],
  ])("%s", async (_why, body, status, code) => {
    const answer = await create(body);
    expect([answer.status, answer.body["code"]]).toEqual([status, code]);
  });

  it("that is no JSON", async () => {
    const headers = { "content-type": "application/json" };
    const answer = await call("POST", `/channels/${discord.general}/messages`, new Blob(["{"]), headers);
    expect([answer.status, answer.body["code"]]).toEqual([400, 50109]);
  });

  it("§2.5 keeps its flag with an edit that names none, and shows pages only without it", async () => {
    const link = "https://pages.example/a";
    const edit = async (id: unknown, body: object): Promise<Answer> =>
      call("PATCH", `/channels/${discord.general}/messages/${String(id)}`, body);
    const { body: plain } = await create({ content: link });
    expect(plain).toMatchObject({ embeds: [{ url: link }] });
    const { body } = await create({ content: `see ${link}`, flags: 4 });
    expect(body).toMatchObject({ flags: 4, embeds: [] });
    expect((await edit(body["id"], { content: link })).body).toMatchObject({ flags: 4, embeds: [] });
    const shown = await edit(body["id"], { flags: 0 });
    expect(shown.body).toMatchObject({ flags: 0, embeds: [{ url: link }] });
    expect((await edit(body["id"], { flags: 4 })).body).toMatchObject({ flags: 4, embeds: [] });
    expect((await edit(body["id"], { flags: 64 })).body["code"]).toBe(50035);
    expect((await create({ content: "a", flags: 128 })).body["code"]).toBe(50035);
  });

  it("takes 2,000 emoji", async () => {
    expect((await create({ content: "😀".repeat(2000) })).status).toBe(200);
  });
});

describe("who may call", () => {
  it("needs the token and a user agent", async () => {
    expect((await call("GET", "/users/@me", undefined, { authorization: "Bot wrong" })).status).toBe(401);
    expect((await call("GET", "/users/@me", undefined, { "user-agent": "curl" })).body["code"]).toBe(40333);
    expect((await call("GET", "/users/@me")).body["id"]).toBe(discord.botId);
    expect((await call("GET", "/nowhere")).status).toBe(404);
  });

  it.each([
    ["viewChannel", 50001],
    ["sendMessages", 50013],
  ] as const)("needs %s", async (permission, code) => {
    discord.deny(discord.general, permission);
    expect((await create({ content: "a" })).body["code"]).toBe(code);
  });

  it("may name itself as it likes where Discord is not as strict as it writes (§13)", async () => {
    await using lenient = await startDiscord({ clock, anyUserAgent: true });
    const headers = { authorization: `Bot ${lenient.token}`, "user-agent": "node" };
    expect((await fetch(`${lenient.apiUrl}/v10/users/@me`, { headers })).status).toBe(200);
  });
});

describe("limits", () => {
  it("counts create and edit apart, under one name", async () => {
    const first = await create({ content: "a" });
    for (let count = 0; count < 4; count += 1) await create({ content: "a" });
    const refused = await create({ content: "a" });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("x-ratelimit-scope")).toBe("user");
    expect(Number(refused.headers.get("retry-after"))).toBeCloseTo(1);
    const edited = await call("PATCH", `/channels/${discord.general}/messages/${first.body["id"]}`, {
      content: "b",
    });
    expect(edited.headers.get("x-ratelimit-remaining")).toBe("4");
    expect(edited.headers.get("x-ratelimit-bucket")).toBe(first.headers.get("x-ratelimit-bucket"));
    clock.advance(1000);
    expect((await create({ content: "a" })).status).toBe(200);
  });

  it("gives a fixed window back as a whole", async () => {
    discord.limits.switches.algorithm = "fixed";
    for (let count = 0; count < 5; count += 1) await create({ content: "a" });
    clock.advance(4000);
    expect((await create({ content: "a" })).status).toBe(429);
    clock.advance(1000);
    expect((await create({ content: "a" })).status).toBe(200);
  });

  it("allows fifty calls a second in all", async () => {
    const answers = await Promise.all(Array.from({ length: 51 }, () => call("GET", "/users/@me")));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.map(({ headers }) => headers.get("x-ratelimit-global"))).toEqual(["true"]);
  });

  it("makes edits of old messages dear", async () => {
    const { body } = await create({ content: "a" });
    clock.advance(3_600_000);
    const edit = (): Promise<Answer> =>
      call("PATCH", `/channels/${discord.general}/messages/${body["id"]}`, { content: "b" });
    const codes = [await edit(), await edit(), await edit(), await edit()].map(
      (answer) => answer.body["code"],
    );
    expect(codes).toEqual([undefined, undefined, undefined, 30046]);
  });
});

describe("messages", () => {
  it("are found again by an enforced nonce, for some minutes", async () => {
    const body = { content: "a", nonce: "n", enforce_nonce: true };
    const first = await create(body);
    expect((await create({ ...body, content: "b" })).body).toMatchObject({
      id: first.body["id"],
      content: "a",
    });
    discord.removeMessage(String(first.body["id"]));
    expect((await create(body)).body["code"]).toBe(10008);
    clock.advance(300_001);
    expect((await create(body)).status).toBe(200);
  });

  it("take files in any order of parts, and serve them while the address is valid", async () => {
    const form = new FormData();
    form.append("files[0]", new Blob(["hello"]), "a.txt");
    form.append(
      "payload_json",
      JSON.stringify({ content: "see", attachments: [{ id: "0", filename: "b.txt" }] }),
    );
    const answer = await call("POST", `/channels/${discord.general}/messages`, form);
    const [file] = answer.body["attachments"] as { filename: string; url: string }[];
    expect(file?.filename).toBe("b.txt");
    expect(await (await fetch(file?.url ?? "")).text()).toBe("hello");
    clock.advance(25 * 3_600_000);
    expect((await fetch(file?.url ?? "")).status).toBe(404);
  });

  it("refuses files that are too large, too many, or not allowed there (§7.2)", async () => {
    const upload = (
      sizes: readonly number[],
      path = `/channels/${discord.general}/messages`,
    ): Promise<Answer> => call("POST", path, formOf({ content: "see" }, sizes));
    expect((await upload([10_485_761])).body["code"]).toBe(50045);
    expect((await upload(Array.from({ length: 11 }, () => 1))).body["code"]).toBe(30015);
    const whole = await upload([9_000_000, 9_000_000, 9_000_000]);
    expect([whole.status, whole.body["code"]]).toEqual([413, 40005]);
    discord.deny(discord.general, "attachFiles");
    expect((await upload([1])).body["code"]).toBe(50013);
    const { body } = await create({ content: "a" });
    const edit = `/channels/${discord.general}/messages/${String(body["id"])}`;
    expect((await call("PATCH", edit, formOf({}, [1]))).body["code"]).toBe(50013);
  });

  it("§11.41 lose with an edit the files that it does not name", async () => {
    const { body } = await call("POST", `/channels/${discord.general}/messages`, formOf({}, [1]));
    const [first] = body["attachments"] as { id: string }[];
    const change = async (payload: object, sizes: readonly number[] = []): Promise<Answer> =>
      call("PATCH", `/channels/${discord.general}/messages/${String(body["id"])}`, formOf(payload, sizes));
    const both = await change({ attachments: [{ id: first?.id }, { id: "0" }] }, [2]);
    expect((both.body["attachments"] as { size: number }[]).map(({ size }) => size)).toEqual([1, 2]);
    expect((await change({ attachments: [{ id: "100000000000000009" }] })).body["code"]).toBe(50035);
    const ten = await change(
      { attachments: ids(first?.id, 10) },
      Array.from({ length: 10 }, () => 1),
    );
    expect(ten.body["code"]).toBe(30015);
    const last = await change({ content: "b", attachments: [{ id: "0" }] }, [3, 4]);
    expect((last.body["attachments"] as { size: number }[]).map(({ size }) => size)).toEqual([3]);
    expect((await change({ content: "b", attachments: [] })).body["attachments"]).toEqual([]);
  });

  it("§3.6 are an empty list without the right to read history", async () => {
    await create({ content: "a" });
    discord.deny(discord.general, "readHistory");
    const answer = await fetch(`${discord.apiUrl}/v10/channels/${discord.general}/messages`, {
      headers: { authorization: `Bot ${discord.token}`, "user-agent": "DiscordBot (x, 1)" },
    });
    expect([answer.status, await answer.json()]).toEqual([200, []]);
  });
});

describe("commands", () => {
  it("take an acknowledgement within three seconds, once", async () => {
    const id = discord.person("Ada").slash(discord.general, { question: "?" });
    expect((await call("POST", `/interactions/${id}/nonsense/callback`, { type: 5 })).body["code"]).toBe(
      10062,
    );
    clock.advance(3001);
    const late = discord.traffic.exchanges.length;
    expect(late).toBeGreaterThan(0);
    expect((await call("POST", `/interactions/${id}/nonsense/callback`, { type: 5 })).body["code"]).toBe(
      10062,
    );
    expect(
      (await call("PATCH", `/webhooks/${discord.applicationId}/x/messages/@original`, {})).body["code"],
    ).toBe(50027);
  });
});

describe("the gateway", () => {
  const identify = (changes: object = {}): object => ({
    op: 2,
    d: { token: discord.token, intents: 4609, properties: { os: "", browser: "", device: "" }, ...changes },
  });
  const closed = async (frames: readonly (object | string)[]): Promise<number> => {
    const socket = new WebSocket(`${discord.apiUrl.replace("http", "ws").replace("/api", "/gateway")}?v=10`);
    const code = new Promise<number>((resolve) => socket.once("close", resolve));
    socket.once("open", () => {
      for (const frame of frames) socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    });
    return code;
  };

  it.each([
    ["a wrong token", 4004, () => [identify({ token: "wrong" })]],
    ["an intent that is not switched on", 4014, () => [identify({ intents: 37_377 })]],
    ["another privileged intent", 4014, () => [identify({ intents: 4609 | 2 })]],
    ["intents that do not exist", 4013, () => [identify({ intents: 2 ** 40 })]],
    ["a second identify", 4005, () => [identify(), identify()]],
    ["nonsense", 4002, () => ["{"]],
    ["a frame over 4,096 bytes", 4002, () => [identify({ padding: "x".repeat(5000) })]],
    ["an opcode nobody knows", 4001, () => [{ op: 99, d: {} }]],
    ["a presence before identify", 4003, () => [{ op: 3, d: {} }]],
    [
      "more than 120 frames a minute",
      4008,
      () => [identify(), ...Array.from({ length: 130 }, () => ({ op: 1, d: null }))],
    ],
  ] as const)("closes after %s with %i", async (_what, code, frames) => {
    expect(await closed(frames())).toBe(code);
  });
});
