import type { Redis } from "ioredis";

/** Keys looked at per step. */
const SCAN_COUNT = 500;
/** Characters that mean something in a SCAN pattern. */
const PATTERN_CHARACTERS = /[*?[\]\\]/g;

/**
 * The names of all keys that begin with `root`, in steps; a table that grows meanwhile may repeat some.
 *
 * A cursor means nothing to another process, which Redis may be once the connection was lost: going on with it would
 * leave keys out in silence.
 *
 * @throws {Error} when the connection is lost meanwhile, or as the client does.
 */
export async function* scanKeys(
  redis: Redis,
  root: string,
): AsyncGenerator<readonly string[], void, undefined> {
  const pattern = `${root.replace(PATTERN_CHARACTERS, "\\$&")}*`;
  let isLost = false;
  const onClose = (): void => {
    isLost = true;
  };
  redis.on("close", onClose);
  try {
    let [cursor, names] = await redis.scan("0", "MATCH", pattern, "COUNT", SCAN_COUNT);
    // Until its first answer it can wait for any process.
    isLost = false;
    yield names;
    while (cursor !== "0") {
      [cursor, names] = await redis.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
      if (isLost) throw new Error("the connection was lost while keys were listed");
      yield names;
    }
  } finally {
    redis.off("close", onClose);
  }
}
