import { z } from "zod";
import type { Store } from "../../src/core/ports.ts";
import type { Acknowledgement } from "./acknowledge.ts";

/** What became of a command's acknowledgement; nothing is kept while nobody knows. */
export interface CommandResponse {
  /** The deferred response, where Discord told its id. */
  readonly messageId?: string | undefined;
  /** Discord did not take the acknowledgement: nothing ever answers through this interaction. */
  readonly late?: true | undefined;
}

const SPACE = "discord-response";
/** Longer than any turn waits for its start. */
const TTL_MS = 24 * 3_600_000;

const schema = z.object({ messageId: z.string().optional(), late: z.literal(true).optional() });

/** Notes down how an acknowledgement ended, for whichever process answers the command. */
export async function keepResponse(
  store: Pick<Store, "set">,
  interactionId: string,
  acknowledged: Acknowledgement,
): Promise<void> {
  if (!acknowledged.taken) {
    // Another intake may have been in time.
    await store.set(SPACE, interactionId, { late: true }, { ttlMs: TTL_MS, ifAbsent: true });
  } else if (acknowledged.responseId !== undefined) {
    await store.set(SPACE, interactionId, { messageId: acknowledged.responseId }, { ttlMs: TTL_MS });
  }
}

export async function responseOf(
  store: Pick<Store, "get">,
  interactionId: string,
): Promise<CommandResponse | undefined> {
  return schema.safeParse(await store.get(SPACE, interactionId)).data;
}
