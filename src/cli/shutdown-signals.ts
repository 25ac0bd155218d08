/** The slice of `process` that is needed. */
export interface SignalSource {
  on(name: "SIGTERM" | "SIGINT", listener: () => void): unknown;
}

/** First SIGTERM or Ctrl-C: finish what runs. Second: leave it to the next start. */
export function shutdownSignals(source: SignalSource): { shutdown: AbortSignal; hurry: AbortSignal } {
  const shutdown = new AbortController();
  const hurry = new AbortController();
  const stop = (): void => (shutdown.signal.aborted ? hurry : shutdown).abort();
  source.on("SIGTERM", stop);
  source.on("SIGINT", stop);
  return { shutdown: shutdown.signal, hurry: hurry.signal };
}
