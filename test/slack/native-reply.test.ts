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

/** A workspace that nobody has used. */
function begin(): void {
  clock = new VirtualClock();
  pacer = new SlackPacer(new Gates(clock));
  faults = [];
  texts = new Map();
  open = new Set();
  handedOver = 0;
}

beforeEach(begin);

function fails(method: string, code: "PLATFORM_RATE_LIMITED" | "PLATFORM_UNREACHABLE"): void {
  faults.push({ method, error: refusal(code) });
}

/** As Slack says it: one of the bridge's codes, or a name of Slack's own for what cannot be repeated. */
function refusal(name: string): PlatformError {
  const ours = name === "PLATFORM_RATE_LIMITED" || name === "PLATFORM_UNREACHABLE" ? name : undefined;
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
  await clock.sleep(ROUND_TRIP_MS, signal);
  const fault = faults.findIndex((one) => one.method === method);
  const [{ error } = { error: undefined }] = fault < 0 ? [] : faults.splice(fault, 1);
  if (error?.platformCode === "message_not_in_streaming_state") open.delete(args.ts ?? "");
  if (error !== undefined) throw error;
  const ts = args.ts ?? `m${texts.size}`;
  if (args.ts === undefined) open.add(ts);
  else if (!open.has(ts)) throw refusal("message_not_in_streaming_state");
  if (method === "chat.stopStream") open.delete(ts);
  texts.set(ts, `${texts.get(ts) ?? ""}${args.markdown_text ?? ""}`);
  return { ts };
}

function aReply(): NativeReply {
  const context = {
    api: { stream },
    pacer,
    log: LOG,
    latches: new Latches(LOG),
    tools: { clock, store: { set: () => Promise.resolve(true), get: () => Promise.resolve(undefined) } },
    sleep: (ms: number, signal: AbortSignal) => clock.sleep(ms, signal),
    onGone: () => undefined,
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
    save: () => Promise.resolve(),
    openEdit: () => {
      handedOver += 1;
      return edits;
    },
    file: { limit: { messages: 20, rest: "file" } } as AnswerFile,
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
