import { expect, it } from "vitest";
import { UnsettledTurns } from "../../src/queue/unsettled-turns.ts";
import { aNewTurn } from "../contract/queue-contract.ts";

const SETTLED_MS = 60_000;

it("knows what was accepted of late, oldest first, and no turn twice", () => {
  const scene = startScene();
  for (const key of ["a:1", "b:1", "a:1"]) scene.accept(key);
  expect(scene.keysAt(0)).toEqual(["b:1", "a:1"]);
});

it("forgets what is safe by the time the connection is lost", () => {
  const scene = startScene();
  scene.accept("a:1");
  scene.pass(1);
  scene.accept("a:2");
  expect(scene.keysAt(SETTLED_MS)).toEqual(["a:1", "a:2"]);
  expect(scene.keysAt(SETTLED_MS + 1)).toEqual(["a:2"]);
  scene.pass(SETTLED_MS + 1);
  scene.accept("a:3");
  expect(scene.keysAt(0)).toEqual(["a:3"]);
});

it("keeps two thousand, the newest", () => {
  const scene = startScene();
  for (let turn = 0; turn <= 2_000; turn += 1) scene.accept(`a:${turn}`);
  const keys = scene.keysAt(0);
  expect([keys.length, keys[0], keys.at(-1)]).toEqual([2_000, "a:1", "a:2000"]);
});

it("keeps sixteen million characters, the newest", () => {
  const scene = startScene();
  for (let turn = 1; turn <= 4; turn += 1) scene.accept(`a:${turn}`, "x".repeat(5_000_000));
  expect(scene.keysAt(0)).toEqual(["a:2", "a:3", "a:4"]);
  scene.accept("a:2", "short");
  scene.accept("a:5", "x".repeat(5_000_000));
  expect(scene.keysAt(0)).toEqual(["a:3", "a:4", "a:2", "a:5"]);
});

it("knows a turn by its id as well, as it was changed last", () => {
  const scene = startScene();
  for (const key of ["a:1", "b:1", "c:1"]) scene.accept(key);
  scene.turns.amended("b:1", "changed");
  scene.turns.cancelled("a:1");
  scene.turns.cancelled("unknown");
  expect(scene.turns.before(0).map(({ payload }) => payload)).toEqual(["changed", "{}"]);
});

it("takes a turn that is confirmed for new, as it was changed last, unless it was cancelled", () => {
  const scene = startScene();
  for (const key of ["a:1", "b:1"]) scene.accept(key);
  scene.turns.amended("a:1", "changed");
  scene.turns.cancelled("b:1");
  scene.pass(1);
  scene.turns.confirmed("a:1", "7");
  scene.turns.confirmed("b:1", "8");
  expect(scene.turns.before(SETTLED_MS + 1).map(({ id, payload }) => [id, payload])).toEqual([
    ["7", "changed"],
  ]);
});

interface Scene {
  readonly turns: UnsettledTurns;
  /** Its id is its key. */
  accept(key: string, payload?: string): void;
  pass(ms: number): void;
  keysAt(lostAt: number): readonly string[];
}

function startScene(): Scene {
  let now = 0;
  const turns = new UnsettledTurns(() => now);
  return {
    turns,
    accept: (key, payload = "{}") => turns.accepted(key, aNewTurn(key), payload),
    pass: (ms) => {
      now += ms;
    },
    keysAt: (lostAt) => turns.before(lostAt).map(({ label }) => label.key),
  };
}
