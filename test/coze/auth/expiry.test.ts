import { expect, it } from "vitest";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import { dueWarning, ExpiryWatch } from "../../../src/coze/auth/expiry.ts";
import { KeptLog } from "../coze-kit.ts";

const DAY = 24 * 3_600_000;
const END = Date.UTC(2026, 11, 20);

it.each([
  [14 * DAY + 1, undefined],
  [14 * DAY, 14],
  [7 * DAY + 1, 14],
  [7 * DAY, 7],
  [DAY + 1, 7],
  [DAY, 1],
  [1, 1],
  [0, 0],
  [-DAY, 0],
])("%d ms before the end the warning is %s", (before, step) => {
  expect(dueWarning(END, END - before)).toBe(step);
});

/** Lets hours pass, one after the other, and what they start come to its end. */
async function pass(clock: VirtualClock, days: number): Promise<void> {
  for (let hour = 0; hour < days * 24; hour += 1) {
    clock.advance(3_600_000);
    for (let step = 0; step < 5; step += 1) await Promise.resolve();
  }
}

it("each step is told once, and the steps begin anew with a new end", async () => {
  const clock = new VirtualClock(END - 20 * DAY);
  const log = new KeptLog();
  let endsAt: number | undefined;
  const options = { log, clock, now: () => clock.now(), endsAt: () => endsAt, remedy: "do this" };
  await using watch = new ExpiryWatch({ ...options, keep: () => Promise.resolve() });
  await pass(clock, 1);
  expect(log.lines).toEqual([]);
  endsAt = END;
  await pass(clock, 20);
  const note = { endsAt: "2026-12-20T00:00:00.000Z", note: "do this" };
  expect(log.lines).toEqual([
    ...[14, 7, 1].map((days) => ({
      level: "warn",
      fields: { ...note, days },
      message: "coze sign-in ends soon",
    })),
    { level: "error", fields: note, message: "coze sign-in has ended" },
  ]);
  endsAt = END + 30 * DAY;
  await pass(clock, 1);
  expect(log.lines).toHaveLength(4);
  await pass(clock, 20);
  expect(log.lines.slice(4).map(({ fields }) => fields)).toMatchObject([{ days: 14 }]);
  endsAt = clock.now() + 4.5 * DAY;
  await pass(clock, 0.3);
  expect(log.lines.at(-1)?.fields).toMatchObject({ days: 5 });
  await watch[Symbol.asyncDispose]();
  await pass(clock, 20);
  expect(log.lines).toHaveLength(6);
  expect(clock.timers).toBe(0);
});

it("a sign-in that cannot be kept alive is told, and looked at again", async () => {
  const clock = new VirtualClock(END - DAY);
  const log = new KeptLog();
  const keep = (): Promise<void> => Promise.reject(new Error("nobody has signed in"));
  const options = { log, clock, now: () => clock.now(), remedy: "do this", keep };
  await using _watch = new ExpiryWatch({ ...options, endsAt: () => END });
  await pass(clock, 1 / 24);
  expect(log.lines.map(({ message }) => message)).toEqual([
    "coze sign-in could not be kept alive",
    "coze sign-in ends soon",
    "coze sign-in could not be kept alive",
  ]);
});
