import type { Leases } from "../core/ports.ts";

/** Leases of a process that owns its storage: the lock of the file keeps all others out, so each one is ours. */
export function createFileLeases(): Leases {
  return {
    async acquire(_name, { signal }) {
      signal.throwIfAborted();
      return { lost: new AbortController().signal, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
}
