import { EXIT } from "./exit-code.ts";

/** The oldest Node that runs us, as `engines` in package.json has it. */
export const OLDEST_NODE = [24, 15] as const;

/** Ends the process with a sentence where Node is too old. Uses nothing that an old one does not know. */
export function demandNode(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [wantedMajor, wantedMinor] = OLDEST_NODE;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  const wanted = OLDEST_NODE.join(".");
  process.stderr.write(
    `coze-bridge needs Node ${wanted} or newer, and this is ${version}. Install a newer one, or run it by: npx node dist/src/cli/main.js …\n` +
      `coze-bridge 需要 Node ${wanted} 或更新的版本，当前是 ${version}。请安装新版，或改用：npx node dist/src/cli/main.js …\n`,
  );
  process.exit(EXIT.config);
}
