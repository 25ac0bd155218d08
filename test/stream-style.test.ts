import { expect, it } from "vitest";
import { parseStreamStyles, styleOf } from "../src/stream-style.ts";

const CHANNEL = "1234567890123456789";

it.each(["", "fast", "live slack", "live slack=fast", "slack=final", "live telegram=final", "live C1=final"])(
  "does not take %j",
  (text) => {
    expect(parseStreamStyles(text)).toBeUndefined();
  },
);

it.each([
  ["live", `discord:1:${CHANNEL}:7`, "live"],
  ["final", `discord:1:${CHANNEL}:7`, "final"],
  ["live slack=final", `discord:1:${CHANNEL}:7`, "live"],
  ["live slack=final", "slack:T012345:C012345:1.2", "final"],
  ["live, discord=final, 1234567890123456789=live", `discord:1:${CHANNEL}:7`, "live"],
  ["live 1234567890123456789=final", `discord:1:${CHANNEL}:7`, "final"],
  ["final T012345=live C012345=final", "slack:T012345:C012345:1.2", "final"],
  ["final T012345=live C012345=final", "slack:T012345:C099999", "live"],
])("of %j in %s it is %s", (text, conversation, style) => {
  const styles = parseStreamStyles(text);
  expect(styles && styleOf(styles, { conversation })).toBe(style);
});
