import { expect, it } from "vitest";
import type { ChatView } from "../../sandbox/stand-in.ts";
import { openBridge } from "../e2e/bridge-under-test.ts";

const MINUTE = 60_000;

it(
  "§11.4 what is asked while the bridge is dead is answered after the start, once and in order",
  async () => {
    // Each question by itself: what one person types at once would be answered at once.
    await using bridge = await openBridge({ env: { MERGE_BURST: "0" } });
    const { discord } = bridge.services;
    const people = ["Ada", "Bob", "Cleo"].map((name) => discord.person(name));
    const channels = ["one", "two", "three", "four"].map((name) => discord.addChannel(name));
    const places = [...channels, ...people.map(({ dmChannel }) => dmChannel)];
    const say = (place: string, text: string): void => {
      const [first = people[0]] = people.filter(({ dmChannel }) => dmChannel === place);
      first?.say(place, `@Coze ${text}`);
    };
    const answers = (place: string): readonly string[] => {
      const { messages }: ChatView = discord.view(place);
      return messages.filter(({ bot, unfinished }) => bot && !unfinished).map(({ text }) => text);
    };
    for (const place of places) say(place, "echo before");
    const all = (count: number): boolean => places.every((place) => answers(place).length === count);
    await expect.poll(() => all(1), { timeout: MINUTE }).toBe(true);
    await bridge.kill();
    const texts = Array.from({ length: 6 }, (_, index) => `echo missed ${index}`);
    for (const text of texts) for (const place of places) say(place, text);
    await bridge.start();
    for (const place of places) say(place, "echo live");
    await expect.poll(() => all(8), { timeout: MINUTE, interval: 50 }).toBe(true);
    const expected = ["echo before", ...texts, "echo live"];
    for (const place of places) {
      for (const [index, text] of expected.entries()) {
        await expect.poll(() => answers(place)[index]).toContain(text);
      }
    }
    // As long again as it takes to see a second answer, if there were one.
    await bridge.killAndRestart();
    for (const place of places) say(place, "echo last");
    await expect.poll(() => all(9), { timeout: MINUTE, interval: 50 }).toBe(true);
  },
  3 * MINUTE,
);
