import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Deadline } from "../../src/coze/deadline.ts";

const LIMIT_MS = 100;

function tooLate(): Error {
  return new Error("too late");
}

/** Something that takes so long, unless the signal fires before. */
function work(deadline: Deadline, ms: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  deadline.signal.addEventListener("abort", () => reject(deadline.signal.reason));
  return deadline.within(LIMIT_MS, tooLate, () => promise);
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a deadline", () => {
  it("counts each wait anew, and not what lies between two", async () => {
    using deadline = new Deadline(new AbortController().signal);
    for (let count = 0; count < 5; count += 1) {
      const done = work(deadline, LIMIT_MS - 1);
      await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
      await done;
      await vi.advanceTimersByTimeAsync(3 * LIMIT_MS);
    }
    expect(deadline.signal.aborted).toBe(false);
  });

  it("ends a wait that is too long, however many short ones came before it", async () => {
    using deadline = new Deadline(new AbortController().signal);
    for (let count = 0; count < 5; count += 1) {
      const done = work(deadline, 30);
      await vi.advanceTimersByTimeAsync(30);
      await done;
    }
    const failure = expect(work(deadline, 2 * LIMIT_MS)).rejects.toThrow("too late");
    await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
    expect(deadline.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    await failure;
  });

  it("ends a wait whose limit is shorter than that of the one before", async () => {
    using deadline = new Deadline(new AbortController().signal);
    await deadline.within(
      10_000,
      () => new Error("much too late"),
      () => Promise.resolve(),
    );
    const failure = expect(work(deadline, 2 * LIMIT_MS)).rejects.toThrow("too late");
    await vi.advanceTimersByTimeAsync(LIMIT_MS + 1);
    await failure;
  });

  it("passes its caller's reason on, also one that was there before", () => {
    const outer = new AbortController();
    using deadline = new Deadline(outer.signal);
    outer.abort("enough");
    expect(deadline.signal.reason).toBe("enough");
    using late = new Deadline(outer.signal);
    expect(late.signal.reason).toBe("enough");
  });

  it("leaves nothing behind: no timer, no ear at its caller", async () => {
    const outer = new AbortController();
    const deadline = new Deadline(outer.signal);
    deadline.limit(1_000, tooLate);
    await deadline.within(LIMIT_MS, tooLate, () => Promise.resolve());
    deadline[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
    outer.abort();
    expect(deadline.signal.aborted).toBe(false);
  });
});
