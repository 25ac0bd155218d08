import fc from "fast-check";
import { beforeEach, expect, it } from "vitest";
import type { AnswerFile } from "../../adapters/slack/answer-file.ts";
import type { ReplyTarget } from "../../adapters/slack/edit-writer.ts";
import { NativeReply } from "../../adapters/slack/native-reply.ts";
import { SlackPacer } from "../../adapters/slack/pacer.ts";
import { Latches, type SlackContext } from "../../adapters/slack/slack-context.ts";
import { PlatformError } from "../../src/core/errors.ts";
import { Gates } from "../../src/core/gate.ts";
import type { Log, Reply } from "../../src/core/ports.ts";
import { aContent } from "../core/text-platform.ts";
import { VirtualClock } from "../core/virtual-clock.ts";

const ROUND_TRIP_MS = 80;
const LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => LOG,
};

let clock: VirtualClock;
let pacer: SlackPacer;
/** Errors of the calls to come, by method, in their order. */
let faults: { readonly method: string; readonly error: PlatformError }[];
/** What each message shows. */
let texts: Map<string, string>;
/** Messages that still grow. */
let open: Set<string>;
let handedOver: number;
/** Questions whose reader has stopped the answer. */
let gone: string[];
/** Calls that have ended, and how. */
let calls: string[];
let begun: number;

/** A workspace that nobody has used. */
function begin(): void {
  clock = new VirtualClock();
  pacer = new SlackPacer(new Gates(clock));
  faults = [];
  texts = new Map();
  open = new Set();
  handedOver = 0;
  gone = [];
  calls = [];
  begun = 0;
}

beforeEach(begin);

function fails(method: string, name: string): void {
  faults.push({ method, error: refusal(name) });
}

const OURS = ["PLATFORM_RATE_LIMITED", "PLATFORM_UNREACHABLE", "PLATFORM_UNKNOWN_OUTCOME"] as const;

/** As Slack says it: one of the bridge's codes, or a name of Slack's own for what cannot be repeated. */
function refusal(name: string): PlatformError {
  const ours = OURS.find((code) => code === name);
  return new PlatformError(ours ?? "PLATFORM_REJECTED", "as the test wants it", {
    platform: "slack",
    retryable: ours !== undefined,
    ...(ours === undefined && { platformCode: name }),
  });
}

/** Streams as Slack has them, in memory. */
async function stream(
  method: string,
  _schema: unknown,
  args: { readonly ts?: string; readonly markdown_text?: string },
  { signal }: { signal: AbortSignal },
): Promise<object> {
  begun += 1;
  await clock.sleep(ROUND_TRIP_MS, signal);
  const fault = faults.findIndex((one) => one.method === method);
  const [{ error } = { error: undefined }] = fault < 0 ? [] : faults.splice(fault, 1);
  calls.push(`${method} ${error?.platformCode ?? error?.code ?? "ok"}`);
  if (error?.platformCode === "message_not_in_streaming_state") open.delete(args.ts ?? "");
  // Without an answer, but it arrived.
  if (error !== undefined && error.code !== "PLATFORM_UNKNOWN_OUTCOME") throw error;
  const ts = args.ts ?? `m${texts.size}`;
  if (args.ts === undefined) open.add(ts);
  else if (!open.has(ts)) throw refusal("message_not_in_streaming_state");
  if (method === "chat.stopStream") open.delete(ts);
  texts.set(ts, `${texts.get(ts) ?? ""}${args.markdown_text ?? ""}`);
  if (error?.code === "PLATFORM_UNKNOWN_OUTCOME") throw error;
  return { ts };
}

function aReply(options: { messages?: number; save?: () => Promise<void> } = {}): NativeReply {
  const context = {
    api: { stream },
    pacer,
    log: LOG,
    latches: new Latches(LOG),
    tools: { clock, store: { set: () => Promise.resolve(true), get: () => Promise.resolve(undefined) } },
    sleep: (ms: number, signal: AbortSignal) => clock.sleep(ms, signal),
    onGone: (dedupeKey: string) => void gone.push(dedupeKey),
  };
  const edits: Reply = {
    show: () => undefined,
    finish: () => Promise.resolve({ messageKeys: [] }),
    abandon: () => Promise.resolve(),
  };
  const target: ReplyTarget = {
    team: "T1",
    place: { channel: "C1", thread: "1.0" } as ReplyTarget["place"],
    after: "1.0",
    reference: "K7Q2FM",
    dedupeKey: "slack:T1:C1:1.0",
    locale: "en",
  };
  return new NativeReply(context as unknown as SlackContext, {
    target,
    recipient: { user: "U1", team: "T1" },
    save: options.save ?? (() => Promise.resolve()),
    openEdit: () => {
      handedOver += 1;
      return edits;
    },
    file: { limit: { messages: options.messages ?? 20, rest: "file" } } as AnswerFile,
    signal: new AbortController().signal,
    onOver: () => undefined,
  });
}

/** Code of three messages' length. */
const CODE = `Code:\n\n\`\`\`js\n${"const value = compute();\n".repeat(1_000)}\`\`\`\n\nThat was it.\n`;

function fencesOf(text: string): number {
  return text.match(/^```/gm)?.length ?? 0;
}

it.each([
  ["goes well", []],
  ["is refused once", ["PLATFORM_RATE_LIMITED"]],
  ["is refused and then lost", ["PLATFORM_RATE_LIMITED", "PLATFORM_UNREACHABLE"]],
] as const)("writes nothing behind a fence that it has closed, while the stop %s", async (_, codes) => {
  for (const code of codes) fails("chat.stopStream", code);
  const reply = aReply();
  for (let end = 400; end < CODE.length; end += 400) {
    reply.show(aContent(CODE.slice(0, end)));
    await clock.advance(20);
  }
  await clock.settle(reply.finish(aContent(CODE)));
  const shown = [...texts.values()];
  expect(shown).toHaveLength(3);
  for (const text of shown) expect(fencesOf(text)).toBe(2);
  for (const text of shown.slice(0, -1)) expect(text.endsWith("\n```")).toBe(true);
  const code = shown.join("").match(/const value = compute\(\);/g);
  expect(code).toHaveLength(1_000);
  expect(handedOver).toBe(0);
});

it.each([
  ["a row that is wider than a table may be", `| a | b |\n|---|---|\n| x | ${"word ".repeat(4_000)}|\n`],
  ["a character that goes on and on", `a${"\u0301".repeat(12_000)}`],
])("brings what fits into no message as a whole: %s", async (_, text) => {
  const reply = aReply();
  reply.show(aContent(text));
  await clock.settle(reply.finish(aContent(text)));
  const shown = [...texts.values()].join("");
  expect(shown.match(/word/g) ?? []).toHaveLength(text.match(/word/g)?.length ?? 0);
  expect(shown.match(/\u0301/g) ?? []).toHaveLength(text.match(/\u0301/g)?.length ?? 0);
  expect(handedOver).toBe(0);
});

it.each(["finish", "abandon"] as const)(
  "does not stand behind the first texts of others at its next message: %s",
  async (end) => {
    const reply = aReply();
    const text = `Hello.\n\n${"Words of a paragraph. ".repeat(30)}\n\n`.repeat(30);
    reply.show(aContent("Hello.\n\n"));
    await clock.advance(200);
    // The bucket is empty, and a queue of others waits at it.
    const { signal } = new AbortController();
    const others = (count: number): void => {
      for (let index = 0; index < count; index += 1)
        void pacer.method("T1", "startStream").acquire("first", { signal });
    };
    others(10);
    await clock.advance(100);
    reply.show(aContent(text));
    await clock.advance(2_000);
    others(40);
    const from = clock.now();
    const ended: Promise<unknown> = end === "finish" ? reply.finish(aContent(text)) : reply.abandon();
    await clock.settle(ended);
    // One comes back every three seconds, and it stood behind two.
    expect(clock.now() - from).toBeLessThan(end === "finish" ? 7_000 : 200);
  },
);

it("does not let the last state wait for the end of a draft's pause", async () => {
  const reply = aReply();
  reply.show(aContent("Hello."));
  await clock.advance(200);
  for (let index = 0; index < 5; index += 1) fails("chat.appendStream", "PLATFORM_UNREACHABLE");
  reply.show(aContent("Hello. More."));
  // Into the pause after the fifth, which would take 8 s.
  while (faults.length > 0) await clock.advance(50);
  const from = clock.now();
  await clock.settle(reply.finish(aContent("Hello. More. All.")));
  expect(clock.now() - from).toBeLessThan(1_000);
  expect([...texts.values()]).toEqual(["Hello. More. All."]);
});

it.each(["finish", "abandon"] as const)("waits for no pause that begins behind it: %s", async (end) => {
  const reply = aReply();
  reply.show(aContent("Hello."));
  await clock.advance(200);
  for (let index = 0; index < 5; index += 1) fails("chat.appendStream", "PLATFORM_UNREACHABLE");
  reply.show(aContent("Hello. More."));
  // One start, and five that fail: the last of them is on its way as the end comes.
  while (begun < 6) await clock.advance(10);
  const from = clock.now();
  const ended: Promise<unknown> =
    end === "finish" ? reply.finish(aContent("Hello. More. All.")) : reply.abandon();
  await clock.settle(ended);
  expect(faults).toEqual([]);
  expect(clock.now() - from).toBeLessThan(1_500);
});

it("takes back nothing of what stands there for what went wrong while it grew", async () => {
  let saves = 0;
  const save = (): Promise<void> => {
    saves += 1;
    return saves === 1 ? Promise.reject(new Error("the store is away")) : Promise.resolve();
  };
  const reply = aReply({ save });
  reply.show(aContent("Hello."));
  await clock.advance(1_000);
  await clock.settle(reply.finish(aContent("Hello. All.")));
  expect([...texts.values()]).toEqual(["Hello. All."]);
});

const BORDER = `${"Words of a paragraph. ".repeat(45)}\n\n`;

it("keeps a full message open for what is said at the end", async () => {
  const reply = aReply();
  const text = BORDER.repeat(10);
  reply.show(aContent("Words"));
  await clock.advance(500);
  reply.show(aContent(text));
  await clock.advance(5_000);
  expect(calls.filter((call) => call.startsWith("chat.stopStream"))).toEqual([]);
  await clock.settle(reply.finish(aContent(text, { notice: "It broke off." })));
  expect([calls.at(-1), handedOver]).toEqual(["chat.stopStream ok", 0]);
});

it("says by an edit what is said at the end where Slack has ended the stream", async () => {
  const reply = aReply();
  reply.show(aContent("Hello."));
  await clock.advance(500);
  fails("chat.appendStream", "message_not_in_streaming_state");
  const { answer } = aContent("Hello.");
  reply.show({ answer: { ...answer, tools: [{ messageId: "2", name: "weather", done: true }] } });
  while (faults.length > 0) await clock.advance(100);
  await clock.advance(100);
  expect(calls.at(-1)).toBe("chat.appendStream message_not_in_streaming_state");
  await clock.settle(reply.finish(aContent("Hello.", { notice: "It broke off." })));
  expect(handedOver).toBe(1);
});

it.each(["chat.appendStream", "chat.stopStream"])(
  "ends where %s says that its reader has stopped it",
  async (method) => {
    const reply = aReply();
    reply.show(aContent("Hello."));
    await clock.advance(500);
    fails(method, "stopped_by_user");
    await clock.settle(reply.finish(aContent("Hello. Here I am.", { notice: "It was stopped." })));
    expect(calls.at(-1)).toBe(`${method} stopped_by_user`);
    expect([gone, handedOver]).toEqual([["slack:T1:C1:1.0"], 0]);
  },
);

it("says once that the rest comes as a file, though nobody knows whether it arrived", async () => {
  const reply = aReply({ messages: 1 });
  reply.show(aContent("Words"));
  await clock.advance(500);
  reply.show(aContent(BORDER.repeat(15)));
  fails("chat.appendStream", "PLATFORM_RATE_LIMITED");
  while (!calls.includes("chat.appendStream ok")) await clock.advance(100);
  fails("chat.appendStream", "PLATFORM_UNKNOWN_OUTCOME");
  await clock.advance(3_000);
  expect(calls.at(-1)).toBe("chat.appendStream PLATFORM_UNKNOWN_OUTCOME");
  await clock.settle(reply.finish(aContent(BORDER.repeat(15))));
  expect([...texts.values()].join("").match(/comes as a file/g)).toHaveLength(1);
  // What it shows is put right, since it is not certain.
  expect(handedOver).toBe(1);
});

/** What may happen to a call: Slack ends streams by itself, and takes some texts not. */
const TROUBLE = [
  ["chat.startStream", "PLATFORM_RATE_LIMITED"],
  ["chat.appendStream", "PLATFORM_RATE_LIMITED"],
  ["chat.appendStream", "PLATFORM_UNREACHABLE"],
  ["chat.appendStream", "message_not_in_streaming_state"],
  ["chat.appendStream", "msg_too_long"],
  ["chat.stopStream", "PLATFORM_RATE_LIMITED"],
] as const;

it("shows the whole text once, whatever happens between its first word and its last", async () => {
  const step = fc.record({
    text: fc.constantFrom("word ", "很好。", "\n\n", "x".repeat(300), "A whole sentence. ".repeat(40)),
    waitMs: fc.constantFrom(0, 30, 400, 5_000, 250_000),
    trouble: fc.option(fc.constantFrom(...TROUBLE), { freq: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 80 }), async (steps) => {
      begin();
      const reply = aReply();
      let text = "Begin. ";
      for (const { text: more, waitMs, trouble } of steps) {
        text += more;
        if (trouble !== null) faults.push({ method: trouble[0], error: refusal(trouble[1]) });
        reply.show(aContent(text));
        await clock.advance(waitMs);
      }
      text += "End.";
      await clock.settle(reply.finish(aContent(text)));
      const shown = [...texts.values()].join("");
      expect(shown.replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
      expect([open.size, handedOver, clock.pending]).toEqual([0, 0, 0]);
    }),
    { numRuns: 60 },
  );
});
