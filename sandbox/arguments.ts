import { parseArgs } from "node:util";

export interface SandboxArguments {
  /** Play, print the final chats, exit. */
  readonly once: boolean;
  readonly help: boolean;
}

export const SANDBOX_HELP = `npm start [-- --once]

With tokens in the environment or in .env this runs the bridge. Without any it starts the sandbox: stand-ins of Coze,
Discord and Slack on this machine, and the real bridge connected to them.
设置了令牌就运行桥接服务；没有任何令牌则启动沙盒：本机上的扣子、Discord、Slack 替身，以及连接它们的真实桥接服务。

  --once   play the scenes, print the final chats, exit; not 0 when an answer is missing or wrong
           演示完并打印结果后退出；回答缺失或有误时退出码不为 0
  --help   this text · 显示本说明

With COZE_API_TOKEN and COZE_BOT_ID but no platform token, the stand-ins of Discord and Slack talk to the real Coze;
then nothing plays by itself.
只设置 COZE_API_TOKEN 和 COZE_BOT_ID、没有平台令牌时，Discord 和 Slack 的替身会连接真实的扣子，此时不会自动演示。
`;

/** @throws {TypeError} for anything else than the two options, in words for the person who typed it. */
export function parseArguments(args: readonly string[]): SandboxArguments {
  const { values } = parseArgs({
    args: [...args],
    options: { once: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
  });
  return values;
}
