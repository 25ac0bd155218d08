import { expect, it } from "vitest";
import { UnsettledTurns } from "../../src/queue/unsettled-turns.ts";
import { aNewTurn } from "../contract/queue-contract.ts";

const SETTLED_MS = 40_000;

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

interface Scene {
  /** Its id is its key. */
  accept(key: string): void;
  pass(ms: number): void;
  keysAt(lostAt: number): readonly string[];
}

function startScene(): Scene {
  let now = 0;
  const turns = new UnsettledTurns(() => now);
  return {
    accept: (key) => turns.accepted(key, aNewTurn(key), "{}"),
    pass: (ms) => {
      now += ms;
    },
    keysAt: (lostAt) => turns.at(lostAt).map(({ turn }) => turn.key),
  };
}
