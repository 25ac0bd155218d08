import { createHash } from "node:crypto";

/** Discord takes 25 characters at most (discord.md §2.1). */
const NONCE_LENGTH = 22;

/**
 * The nonce of one message of a turn: the same call gets the same one, from any process (discord.md §2.3).
 *
 * @param purpose - Must differ between an answer and a notice, or Discord returns one for the other.
 */
export function nonceOf(turnId: string, part: number, purpose: string): string {
  const hash = createHash("sha256").update(`${turnId}|${part}|${purpose}`).digest("base64url");
  return hash.slice(0, NONCE_LENGTH);
}
