import { describe, expect, it, vi } from "vitest";
import { STAND_IN_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { createAnswerSource } from "../../src/coze/answer-source.ts";
import { SpareConversations } from "../../src/coze/spare-conversations.ts";
import { aQuestion, ask, type CozePair, KeptLog, noAbort, openPair } from "./coze-kit.ts";

const CREATE = "POST /v1/conversation/create";
const SPARE = "kept ready for the next place";

/** A bridge that keeps one ready; `passSecond` lets a second pass and waits until nothing is under way. */
function openSpares(pair: CozePair) {
  let waiting: (() => void)[] = [];
  const spares = new SpareConversations({
    conversations: pair.client.conversations,
    log: pair.log,
    after: (ms, call) => {
      expect(ms).toBe(1_000);
      waiting.push(call);
      return () => {
        waiting = waiting.filter((other) => other !== call);
      };
    },
  });
  const source = createAnswerSource(pair.client, spares);
  const passSecond = (): void => {
    const due = waiting;
    waiting = [];
    for (const call of due) call();
  };
  const create = (
    conversation: string,
    { botId = STAND_IN_BOT, fresh = false }: { botId?: string; fresh?: boolean } = {},
  ): Promise<string> => source.createConversation({ botId, conversation, fresh, signal: noAbort() });
  return { spares, source, passSecond, create, waiting: () => waiting.length };
}

/** The same after a first place was new: one is ready. */
async function openWithSpare(pair: CozePair) {
  const bridge = openSpares(pair);
  await bridge.create("slack:1:first");
  bridge.passSecond();
  await untilSpares(pair, 1);
  return bridge;
}

/** Without Coze: conversations are numbered as they are asked for. `hold` lets the next one wait. */
function openOnFake() {
  const asked: (string | undefined)[] = [];
  let due: (() => void)[] = [];
  let gate: Promise<void> = Promise.resolve();
  const spares = new SpareConversations({
    conversations: {
      create: async ({ botId }) => {
        const conversationId = `${asked.push(botId)}`;
        const mine = gate;
        gate = Promise.resolve();
        await mine;
        return { conversationId } as never;
      },
      rename: () => Promise.resolve({} as never),
    },
    log: new KeptLog(),
    after: (_ms, call) => {
      due.push(call);
      return () => undefined;
    },
  });
  const passSecond = async (): Promise<void> => {
    const calls = due;
    due = [];
    for (const call of calls) call();
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  };
  const hold = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  const create = (botId: string): Promise<string> =>
    spares.create({ botId, name: "place" }, { fresh: false, signal: noAbort() });
  return { spares, asked, passSecond, create, hold };
}

/** Names of all conversations at Coze, by id. */
async function named({ client }: CozePair): Promise<Readonly<Record<string, string>>> {
  const all = await Array.fromAsync(client.conversations.list({ botId: STAND_IN_BOT, signal: noAbort() }));
  return Object.fromEntries(all.map(({ conversationId, name }) => [conversationId, name]));
}

async function untilSpares(pair: CozePair, count: number): Promise<void> {
  await vi.waitFor(async () => {
    const names = Object.values(await named(pair));
    expect(names.filter((name) => name === SPARE)).toHaveLength(count);
  });
}

function created({ coze }: CozePair): number {
  return coze.traffic.exchanges.filter(({ name }) => name === CREATE).length;
}

describe("conversations kept ready", () => {
  it("one is made a second after the first was needed, and the next new place takes it without a call", async () => {
    await using pair = await openPair();
    const bridge = openSpares(pair);
    using _ = bridge.spares;
    const first = await bridge.create("slack:1:first");
    expect(await named(pair)).toEqual({ [first]: "slack:1:first" });
    bridge.passSecond();
    await untilSpares(pair, 1);

    const before = created(pair);
    const second = await bridge.create("slack:1:second");
    expect(created(pair)).toBe(before);
    expect((await ask(bridge.source, aQuestion({ conversationId: second }))).error).toBeUndefined();

    bridge.passSecond();
    await vi.waitFor(async () =>
      expect(await named(pair)).toMatchObject({ [first]: "slack:1:first", [second]: "slack:1:second" }),
    );
    await untilSpares(pair, 1);
    expect(pair.log.lines).toEqual([]);
  });

  it("gives each to one place only, however many are new at once", async () => {
    await using pair = await openPair();
    const bridge = await openWithSpare(pair);
    using _ = bridge.spares;
    const places = Array.from({ length: 5 }, (_value, index) => `slack:1:${index}`);
    const ids = await Promise.all(places.map((place) => bridge.create(place)));
    expect(new Set(ids).size).toBe(5);
    bridge.passSecond();
    await vi.waitFor(async () => {
      const names = await named(pair);
      expect(ids.map((id) => names[id])).toEqual(places);
    });
    await untilSpares(pair, 1);
  });

  it("makes a new one where Coze has forgotten the one before, since it may have forgotten the spare as well", async () => {
    await using pair = await openPair();
    const bridge = await openWithSpare(pair);
    using _ = bridge.spares;
    for (const id of Object.keys(await named(pair)))
      await pair.client.conversations.delete(id, { signal: noAbort() });
    const fresh = await bridge.create("slack:1:first", { fresh: true });
    expect(await named(pair)).toEqual({ [fresh]: "slack:1:first" });
    bridge.passSecond();
    await untilSpares(pair, 1);
    const next = await bridge.create("slack:1:second");
    expect((await ask(bridge.source, aQuestion({ conversationId: next }))).error).toBeUndefined();
  });

  it("keeps none any more where the token may not name it", async () => {
    await using pair = await openPair();
    const bridge = await openWithSpare(pair);
    using _ = bridge.spares;
    const rename = "PUT /v1/conversations/:conversation_id";
    pair.coze.faults.plan(rename, { do: "answer", status: 200, body: { code: 4101, msg: "no" } });
    await bridge.create("slack:1:second");
    bridge.passSecond();
    await vi.waitFor(() =>
      expect(pair.log.lines).toMatchObject([
        { level: "warn", message: "a conversation could not be named after its place" },
      ]),
    );
    const third = await bridge.create("slack:1:third");
    expect((await named(pair))[third]).toBe("slack:1:third");
    const before = created(pair);
    bridge.passSecond();
    // A call that should not be would be there by the end of this one.
    await named(pair);
    expect([created(pair), bridge.waiting()]).toEqual([before, 0]);
  });

  it("keeps one for each bot", async () => {
    const { spares, asked, passSecond, create } = openOnFake();
    using _ = spares;
    await create("one");
    await create("two");
    await passSecond();
    expect(asked).toEqual(["one", "two", "one", "two"]);
    expect([await create("two"), await create("one"), await create("one")]).toEqual(["4", "3", "5"]);
  });

  it("makes no second one where a place's own creation took longer than the spare", async () => {
    const { spares, asked, passSecond, create, hold } = openOnFake();
    using _ = spares;
    await create("one");
    const letGo = hold();
    const slow = create("one");
    await passSecond();
    expect(asked).toHaveLength(3);
    letGo();
    expect(await slow).toBe("2");
    await passSecond();
    expect([await create("one"), asked.length]).toEqual(["3", 3]);
  });

  it("makes none where the conversation itself could not be created", async () => {
    await using pair = await openPair();
    const bridge = openSpares(pair);
    using _ = bridge.spares;
    await expect(bridge.create("slack:1:first", { botId: "7379462189365198000" })).rejects.toThrow();
    expect(bridge.waiting()).toBe(0);
  });

  it("says when one could not be made, and tries again with the next new place", async () => {
    await using pair = await openPair();
    const bridge = openSpares(pair);
    using _ = bridge.spares;
    await bridge.create("slack:1:first");
    pair.coze.faults.plan(CREATE, { do: "answer", status: 200, body: { code: 4101, msg: "no" } });
    bridge.passSecond();
    await vi.waitFor(() =>
      expect(pair.log.lines).toMatchObject([
        { level: "warn", message: "a conversation could not be kept ready" },
      ]),
    );
    await bridge.create("slack:1:second");
    bridge.passSecond();
    await untilSpares(pair, 1);
  });

  it("says when a place's name could not be given, and has the next one made all the same", async () => {
    await using pair = await openPair();
    const bridge = await openWithSpare(pair);
    using _ = bridge.spares;
    const second = await bridge.create("slack:1:second");
    await pair.client.conversations.delete(second, { signal: noAbort() });
    bridge.passSecond();
    await untilSpares(pair, 1);
    await vi.waitFor(() =>
      expect(pair.log.lines).toMatchObject([
        { level: "warn", message: "a conversation could not be named after its place" },
      ]),
    );
  });

  it("makes none once it is closed, but creates what is needed", async () => {
    await using pair = await openPair();
    const bridge = openSpares(pair);
    await bridge.create("slack:1:first");
    bridge.spares[Symbol.dispose]();
    expect(bridge.waiting()).toBe(0);
    await bridge.create("slack:1:second");
    expect(bridge.waiting()).toBe(0);
    expect(created(pair)).toBe(2);
  });
});
