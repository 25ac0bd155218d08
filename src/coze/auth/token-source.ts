import type { Abortable } from "../../core/ports.ts";

/** Where the token of each call comes from. */
export interface TokenSource {
  /** The token to use now. @throws {CozeError} `COZE_AUTH` and others when none can be had. */
  token(options: Abortable): Promise<string>;
  /**
   * Coze refused this token.
   *
   * @returns True when another one is there now: the call may be made once more.
   */
  renew(refused: string, options: Abortable): Promise<boolean>;
}

/** A personal or service token: it is what it is until somebody replaces it (coze-api.md §2.1). */
export function staticToken(token: string): TokenSource {
  return { token: async () => token, renew: async () => false };
}
