import { expect, it } from "vitest";
import { BridgeError, PlatformError } from "../../src/core/errors.ts";
import { repeated } from "../../src/core/tries.ts";

const away = new PlatformError("PLATFORM_UNREACHABLE", "away", { platform: "slack", retryable: true });
const refused = new PlatformError("PLATFORM_RATE_LIMITED", "refused", {
  platform: "slack",
  retryable: true,
  retryAfterMs: 7_000,
});

/** Does work that fails in these ways before it succeeds. */
async function run(
  failures: readonly Error[],
  signal: AbortSignal = new AbortController().signal,
): Promise<{ result: unknown; slept: readonly number[]; tries: number }> {
  const slept: number[] = [];
  let tries = 0;
  const work = (): Promise<string> => {
    const failure = failures[tries];
    tries += 1;
    return failure === undefined ? Promise.resolve("done") : Promise.reject(failure);
  };
  const sleep = (ms: number): Promise<void> => Promise.resolve(void slept.push(ms));
  const result = await repeated(work, { pausesMs: [100, 200], sleep, signal }).catch(
    (error: unknown) => error,
  );
  return { result, slept, tries };
}

it("goes on after what may pass, once for each pause, and says the last failure", async () => {
  expect(await run([away, away])).toEqual({ result: "done", slept: [100, 200], tries: 3 });
  expect(await run([away, away, away])).toEqual({ result: away, slept: [100, 200], tries: 3 });
});

it("leaves a refusal's wait to its gate, and waits as long as anything else says", async () => {
  expect(await run([refused, refused])).toEqual({ result: "done", slept: [], tries: 3 });
  const later = new BridgeError("QUEUE_FULL", "full", { retryable: true, retryAfterMs: 5_000 });
  expect(await run([later])).toEqual({ result: "done", slept: [5_000], tries: 2 });
});

it("ends at once with what does not pass, and when nobody wants it any more", async () => {
  const sure = new BridgeError("PLATFORM_GONE", "gone");
  expect(await run([sure])).toEqual({ result: sure, slept: [], tries: 1 });
  const stop = new AbortController();
  stop.abort(new Error("over"));
  expect((await run([away], stop.signal)).result).toBe(stop.signal.reason);
});
