import { isRateLimit } from "./errors.ts";
import type { Gate } from "./gate.ts";
import type { Permit } from "./pacer.ts";
import type { Abortable } from "./ports.ts";
import { closedForMs } from "./tries.ts";

/**
 * Makes one call of a platform when its gate allows it. A refusal closes the gate to all that follow; whether the call is
 * made again is its caller's business.
 *
 * @throws what the call throws, or the signal's reason.
 */
export async function pacedCall<T>(
  { gate, permit }: { readonly gate: Gate; readonly permit: Permit },
  call: () => Promise<T>,
  { signal }: Abortable,
): Promise<T> {
  await gate.acquire(permit, { signal });
  try {
    return await call();
  } catch (error) {
    if (isRateLimit(error)) gate.refused(closedForMs(error));
    throw error;
  }
}
