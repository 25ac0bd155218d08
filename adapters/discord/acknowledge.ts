import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { sleep } from "../../src/core/sleep.ts";
import { NO_MENTIONS } from "./mentions.ts";
import { type Command, timeOfId } from "./normalize.ts";
import type { DiscordRest } from "./rest-client.ts";

/** An answer within 3 s, or the token dies (discord.md §1.6). */
export const ACKNOWLEDGE_WITHIN_MS = 3_000;
/** One try may take this long, so that a lost one leaves time for another. */
const TRY_MS = 1_300;
/** After this no further try would be in time. */
const LAST_TRY_MS = ACKNOWLEDGE_WITHIN_MS - TRY_MS;
const MAX_TRIES = 5;
const PAUSE_MS = 100;
/** "Thinking…", and a message that is there at once (discord.md §1.6). */
const DEFERRED = 5;
const MESSAGE = 4;
const ALREADY = "40060";
const UNKNOWN = "10062";

const callbackSchema = z.object({
  interaction: z.object({ response_message_id: z.string().optional() }),
});

/**
 * How an acknowledgement ended: `taken`, perhaps with the id of the response; not taken, the token is dead.
 */
export type Acknowledgement =
  | { readonly taken: true; readonly responseId: string | undefined }
  | { readonly taken: false };

/**
 * Whether Discord has certainly given up on it already. A clock of ours that was set meanwhile makes each new one look old, so
 * Discord is asked for the time before one is dropped.
 */
export async function isLate(
  { interactionId }: Pick<Command, "interactionId">,
  rest: DiscordRest,
  options: Abortable,
): Promise<boolean> {
  const looksLate = (): boolean =>
    rest.knowsTime && rest.ageMs(timeOfId(interactionId)) > ACKNOWLEDGE_WITHIN_MS;
  if (!looksLate()) return false;
  await rest.learnTime(options);
  return looksLate();
}

/**
 * Defers a command, or answers it at once with a sentence. A try whose answer is lost, or that Discord failed at, is
 * repeated while there is time: "already acknowledged" then means success.
 *
 * @param options - `says`: the sentence, when there is nothing to wait for.
 * @throws {PlatformError} when Discord could not be asked.
 */
export async function acknowledge(
  command: Command,
  rest: DiscordRest,
  { clock, signal, says }: { clock: Clock; signal: AbortSignal; says?: string | undefined },
): Promise<Acknowledgement> {
  const body =
    says === undefined
      ? { type: DEFERRED }
      : { type: MESSAGE, data: { content: says, allowed_mentions: NO_MENTIONS } };
  const startedAt = clock.now();
  const pastMs = (): number => (clock.now() - startedAt) / (clock.speed ?? 1);
  for (let tries = 1; ; tries += 1) {
    try {
      return await call(command, body, rest, signal);
    } catch (error) {
      const isWorthIt = error instanceof PlatformError && error.retryable && tries < MAX_TRIES;
      if (signal.aborted || !isWorthIt || pastMs() > LAST_TRY_MS) throw error;
    }
    await sleep(clock, PAUSE_MS * tries, signal);
  }
}

async function call(
  command: Command,
  body: object,
  rest: DiscordRest,
  signal: AbortSignal,
): Promise<Acknowledgement> {
  const route: `/${string}` = `/interactions/${command.interactionId}/${command.token}/callback`;
  const timeout = AbortSignal.timeout(TRY_MS);
  try {
    const { data } = await rest.main({
      method: "POST",
      route,
      query: new URLSearchParams({ with_response: "true" }),
      body,
      auth: false,
      name: "acknowledge interaction",
      signal: AbortSignal.any([signal, timeout]),
    });
    const responseId = callbackSchema.safeParse(data).data?.interaction.response_message_id;
    return { taken: true, responseId };
  } catch (error) {
    if (!(error instanceof PlatformError)) {
      if (signal.aborted || !timeout.aborted) throw error;
      const message = "Discord did not answer the acknowledgement in time";
      const options = { platform: "discord", retryable: true, cause: error };
      throw new PlatformError("PLATFORM_UNKNOWN_OUTCOME", message, options);
    }
    if (error.platformCode === ALREADY) return { taken: true, responseId: undefined };
    if (error.platformCode === UNKNOWN) return { taken: false };
    throw error;
  }
}
