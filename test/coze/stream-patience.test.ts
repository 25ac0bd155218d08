import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../src/coze/http.ts";
import { StreamPatience } from "../../src/coze/stream/event-stream.ts";

const RUNNING = { over: false, marked: false };
const OVER = { over: true, marked: false };
const MARKED = { over: true, marked: true };

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

it("gives each event of an answer its time, and all that comes behind its end one together", () => {
  const patience = new StreamPatience({ ...DEFAULT_TIMEOUTS, idleMs: 10_000, graceMs: 2_000 });
  expect(patience.left(RUNNING)).toBe(10_000);
  vi.advanceTimersByTime(9_000);
  expect(patience.left(RUNNING)).toBe(10_000);
  expect(patience.left(OVER)).toBe(2_000);
  vi.advanceTimersByTime(1_500);
  expect(patience.left({ ...OVER })).toBe(500);
  vi.advanceTimersByTime(1_500);
  expect(patience.left(OVER)).toBe(0);
  expect(patience.left(MARKED)).toBe(250);
  vi.advanceTimersByTime(200);
  expect(patience.left({ ...MARKED })).toBe(50);
});
