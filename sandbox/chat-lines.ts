import { stripVTControlCharacters, styleText } from "node:util";
import stringWidth from "string-width";
import type { ChatView, SeenMessage } from "./stand-in.ts";

export interface LineOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly color: boolean;
}

/** A chat as lines of text, as a person would see it: who, what, files, and whether it still grows. Pure. */
export function toChatLines(title: string, view: ChatView, options: LineOptions): readonly string[] {
  const paint = painter(options.color);
  const lines = [paint(["bold", "cyan"], `── ${title} `.padEnd(options.width, "─"))];
  for (const message of view.messages) lines.push(...toMessageLines(message, options));
  if (view.status !== "") lines.push(paint(["dim", "italic"], `   ${printable(view.status)}`));
  return lines;
}

function toMessageLines(message: SeenMessage, { width, color }: LineOptions): string[] {
  const paint = painter(color);
  const indent = message.parent === undefined ? "" : "  ↳ ";
  const marks = [
    message.bot ? paint(["bgBlue", "white"], " APP ") : "",
    message.ephemeral === true ? paint(["dim"], "only you see this") : "",
    message.unfinished ? paint(["yellow"], "▌ writing …") : "",
    message.edits > 0 ? paint(["dim"], `edited ${message.edits}×`) : "",
  ].filter((mark) => mark !== "");
  const head = [
    indent + paint(["bold", message.bot ? "magenta" : "green"], printable(message.author)),
    ...marks,
  ].join(" ");
  const pad = " ".repeat(indent.length);
  const text =
    message.text === "" ? [] : wrap(printable(message.text), Math.max(20, width - indent.length - 2));
  const files = message.files.map((name) => paint(["dim"], `📎 ${printable(name)}`));
  const tasks = (message.tasks ?? []).map(({ title, status }) =>
    paint(["dim"], `${TASK_MARKS[status]} ${printable(title)}`),
  );
  return [head, ...[...tasks, ...text, ...files].map((line) => `${pad}  ${line}`)];
}

const TASK_MARKS = { pending: "○", in_progress: "◌", complete: "✓", error: "✗" };

/** Breaks lines that are wider than the terminal, at spaces where there are any. Counts CJK and emoji as two columns. */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, width));
}

function wrapLine(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = "";
  let used = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(line)) {
    const columns = stringWidth(segment);
    if (used + columns > width) {
      const space = current.lastIndexOf(" ");
      const cut = space > current.length / 2 ? space : current.length;
      lines.push(current.slice(0, cut));
      current = current.slice(cut).trimStart();
      used = stringWidth(current);
    }
    current += segment;
    used += columns;
  }
  return [...lines, current];
}

/** Texts come from bots and strangers: no control sequences on the operator's terminal. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu, "");
}

type Format = Parameters<typeof styleText>[0];

function painter(color: boolean): (format: Format, text: string) => string {
  return (format, text) => (color ? styleText(format, text, { validateStream: false }) : text);
}
