/**
 * Uploads files with the real client and prints how much memory each took at most. Started by big-upload.slow.test.ts
 * with the address of Coze, its token, and the paths.
 */
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import { CLOCK, KeptLog } from "./coze-kit.ts";

const [baseUrl = "", token = "", ...paths] = process.argv.slice(2);
await using client = createCozeClient({
  baseUrl,
  tokens: staticToken(token),
  log: new KeptLog(),
  gates: new Gates(CLOCK),
  chatsPerSecond: 20,
});
for (const path of paths) {
  let sent = 0;
  const onProgress = (bytes: number): void => {
    sent = bytes;
  };
  const signal = new AbortController().signal;
  const stored = await client.files.upload({ path }, { name: "big.pdf", signal, onProgress });
  // The highest so far, in kilobytes.
  const { maxRSS } = process.resourceUsage();
  process.stdout.write(`${JSON.stringify({ sent, bytes: stored.bytes, maxRSS })}\n`);
}
