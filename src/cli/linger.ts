/** What libraries still hold open once the bridge is closed may keep the process for so long, in ms. */
const LINGER_MS = 1_000;

/**
 * Ends the process soon after everything of ours is closed: a socket whose peer is gone without a word would keep it
 * for another 30 s. For a process that still writes to a pipe this is too early.
 */
export function endLingering(): void {
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
