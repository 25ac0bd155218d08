/** What somebody typed into the sandbox, understood. */
export type TypedLine =
  | { readonly do: "mention" | "dm" | "command"; readonly platform: PlatformName; readonly text: string }
  | { readonly do: "file"; readonly platform: PlatformName; readonly path: string; readonly text: string }
  | { readonly do: "switch"; readonly platform: PlatformName }
  | { readonly do: "help" | "nothing" };

export type PlatformName = "discord" | "slack";

const TYPING_HELP = `Type what somebody would write · 直接输入要说的话：
  discord> tell me a story        mention the bot in Discord's #general · 在频道里 @ 智能体
  slack> 讲个故事                  the same in Slack
  /coze what is the weather?      the slash command · 斜杠命令
  /dm my name is Ada              a direct message · 私信
  /file ./report.pdf sum it up    a direct message with a file · 带文件的私信`;
const SCRIPTED_HELP = `The bot of the sandbox also knows · 沙盒里的智能体还认识：
  long 8000 · plugin · fail 4011 · break · empty`;
const END_HELP = "Ctrl-C ends it. · 按 Ctrl-C 结束。";

/** What somebody may type. @param scripted - The bot is the sandbox's own, which knows more. */
export function typingHelp({ scripted }: { scripted: boolean }): string {
  return [TYPING_HELP, ...(scripted ? [SCRIPTED_HELP] : []), END_HELP].join("\n");
}

/** Reads one typed line; without a prefix it goes where the last one went. Pure. */
export function readTypedLine(line: string, current: PlatformName): TypedLine {
  const prefixed = /^\s*(discord|slack)>\s*(.*)$/is.exec(line);
  const platform: PlatformName =
    prefixed === null ? current : prefixed[1]?.toLowerCase() === "slack" ? "slack" : "discord";
  const text = (prefixed?.[2] ?? line).trim();
  if (text === "") return prefixed === null ? { do: "nothing" } : { do: "switch", platform };
  const [, word = "", rest = ""] = /^\/(\w+)\s*(.*)$/s.exec(text) ?? [];
  switch (word.toLowerCase()) {
    case "":
      return { do: "mention", platform, text };
    case "coze":
      return rest === "" ? { do: "help" } : { do: "command", platform, text: rest };
    case "dm":
      return rest === "" ? { do: "help" } : { do: "dm", platform, text: rest };
    case "file": {
      const [, path = "", question = ""] = /^("[^"]+"|\S+)\s*(.*)$/s.exec(rest) ?? [];
      return path === ""
        ? { do: "help" }
        : { do: "file", platform, path: path.replaceAll('"', ""), text: question };
    }
    default:
      return { do: "help" };
  }
}
