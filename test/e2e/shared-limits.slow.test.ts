import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { botText } from "../../sandbox/stage.ts";
import { openBridge } from "./bridge-under-test.ts";

/** Some of them on each of two workers. */
const ANSWERS = 6;

it("answers that share a workspace's limits grow on two workers without one refusal", async () => {
  await using bridge = await openBridge({ redis: {}, speed: 4, clockSpeed: 4 });
  const { services, slack } = bridge;
  const refused: string[] = [];
  services.slack.traffic.onExchange(({ service, status, name }) => {
    if (service === "slack" && status === 429) refused.push(name);
  });
  const text = "tell me a story";
  const people = Array.from({ length: ANSWERS }, (_, index) => services.slack.person(`Person ${index}`));
  const places = people.map((person) => person.dm(text).channel);
  const isWhole = (place: string): boolean =>
    holdsText(botText(slack.standIn.view(place)), expectedAnswer({ text }));
  const whole = (): number => places.filter(isWhole).length;
  await expect.poll(whole, { timeout: 100_000, interval: 100 }).toBe(ANSWERS);
  expect(refused).toEqual([]);
});
