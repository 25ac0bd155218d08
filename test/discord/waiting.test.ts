import { afterEach, beforeEach, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { type Bridge, calls, openBridge, QUICK_TIME, toTurn } from "./harness.ts";

const REACTION = /\/reactions\//;
const signal = new AbortController().signal;

let discord: DiscordStandIn;
let bridge: Bridge;

beforeEach(async () => {
  discord = await startDiscord({ clock: QUICK_TIME });
  bridge = await openBridge(discord, { clock: QUICK_TIME });
});

afterEach(async () => {
  await bridge[Symbol.asyncDispose]();
  await discord[Symbol.asyncDispose]();
});

async function ask(): Promise<{ id: string; turn: IncomingTurn }> {
  const before = bridge.turns.length;
  const id = discord.person("Ada").say(discord.general, "@Coze hi");
  await expect.poll(() => bridge.turns.length).toBe(before + 1);
  const turn = bridge.turns.at(-1);
  if (turn === undefined) throw new Error("no turn");
  return { id, turn };
}

const show = ({ turn }: { turn: IncomingTurn }, waiting: boolean, options = { signal }): Promise<void> =>
  bridge.adapter.showWaiting(toTurn(turn), waiting, options);

function signs(id: string): readonly string[] {
  return [...(discord.world.states.get(id)?.reactions ?? [])];
}

it("a question that waits has an hourglass, which leaves no trace", async () => {
  const asked = await ask();
  await show(asked, true);
  expect(signs(asked.id)).toEqual(["⏳"]);
  await show(asked, false);
  expect(signs(asked.id)).toEqual([]);
});

it("is taken away also when it is still on its way", async () => {
  const asked = await ask();
  discord.faults.plan(REACTION, { do: "delay", ms: 1_000 });
  const adding = show(asked, true);
  // The permit is there at once, so the call is out after this.
  await new Promise(setImmediate);
  await Promise.all([adding, show(asked, false)]);
  const done = calls(discord, REACTION).filter(({ status }) => status === 204);
  expect(done.map(({ name }) => name.split(" ")[0])).toEqual(["PUT", "DELETE"]);
  expect(signs(asked.id)).toEqual([]);
});

it("is never sent for a turn that comes before the sign does", async () => {
  const [one, two] = [await ask(), await ask()];
  // The channel's one reaction per quarter second is spent.
  await show(one, true);
  await Promise.all([show(two, true), show(two, false)]);
  expect(signs(two.id)).toEqual([]);
  expect(calls(discord, REACTION)).toHaveLength(1);
});

it.each([
  ["a commit without an answer", { do: "commit-then-reset" }],
  ["a refusal", { do: "answer", status: 429, body: "slow", headers: { "retry-after": "0.5" } }],
  ["an outage", { do: "answer", status: 503 }],
] as const)("is taken away again after %s", async (_name, fault) => {
  const asked = await ask();
  if (fault.do === "commit-then-reset") discord.faults.plan(REACTION, fault);
  await show(asked, true);
  if (fault.do === "answer") discord.faults.plan(REACTION, fault);
  await show(asked, false);
  expect(signs(asked.id)).toEqual([]);
});

it("stays within one per quarter second, for many at once", async () => {
  const asked = [await ask(), await ask(), await ask(), await ask()];
  await Promise.all(asked.map((each) => show(each, true)));
  await Promise.all(asked.map((each) => show(each, false)));
  expect(asked.flatMap(({ id }) => signs(id))).toEqual([]);
  expect(calls(discord, REACTION).map(({ status }) => status)).toEqual(new Array(8).fill(204));
});

it("fails silently where it may not react, where the question is gone, and for a process that ends", async () => {
  const asked = await ask();
  discord.deny(discord.general, "addReactions");
  await show(asked, true);
  discord.removeMessage(asked.id);
  await show(asked, false);
  await show(asked, true, { signal: AbortSignal.abort() });
  expect(calls(discord, REACTION).map(({ status }) => status)).toEqual([403, 404]);
});

it("is not there for commands, which say so themselves", async () => {
  discord.person("Ada").slash(discord.general, { question: "why?" });
  await expect.poll(() => bridge.turns).toHaveLength(1);
  const [turn] = bridge.turns;
  if (turn === undefined) return;
  await show({ turn }, true);
  await show({ turn }, false);
  expect(calls(discord, REACTION)).toEqual([]);
});
