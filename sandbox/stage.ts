import { basename, extname } from "node:path";
import type { Services } from "./services.ts";
import type { ChatView, PlatformStandIn } from "./stand-in.ts";
import type { PlatformName } from "./typed-line.ts";

export interface StageFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** One platform as somebody sits in front of it. Each act returns the place where the answer will stand. */
export interface Stage {
  readonly name: PlatformName;
  readonly standIn: PlatformStandIn;
  mention(text: string): string;
  command(text: string): string;
  dm(text: string, files?: readonly StageFile[]): string;
  /** The places that acts happen in. */
  places(): readonly string[];
  /** What a place is called. */
  title(place: string): string;
}

/** Ada in front of Discord. */
export function discordStage({ discord }: Services): Stage {
  const ada = discord.person("Ada");
  return {
    name: "discord",
    standIn: discord,
    mention(text) {
      ada.say(discord.general, `@Coze ${text}`);
      return discord.general;
    },
    command(text) {
      ada.slash(discord.general, { question: text });
      return discord.general;
    },
    dm(text, files = []) {
      ada.dm(text, { files });
      return ada.dmChannel;
    },
    places: () => [discord.general, ada.dmChannel],
    title: (place) => (place === discord.general ? "Discord #general" : "Discord direct message"),
  };
}

/** Ada in front of Slack. */
export function slackStage({ slack }: Services): Stage {
  const ada = slack.person("Ada");
  const dm = slack.workspace.dmWith(ada.id).id;
  return {
    name: "slack",
    standIn: slack,
    mention: (text) => ada.say(slack.general, `@Coze ${text}`).channel,
    command: (text) => ada.slash(slack.general, text).channel,
    dm: (text, files = []) => ada.dm(text, { files: files.map(toUpload) }).channel,
    places: () => [slack.general, dm],
    title: (place) => (place === slack.general ? "Slack #general" : "Slack direct message"),
  };
}

const MIME_TYPES: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".txt": "text/plain",
  ".pdf": "application/pdf",
};

/** A file as Slack's client would upload it. */
function toUpload({ name, bytes }: StageFile): { name: string; mimetype: string; bytes: Buffer } {
  return {
    name,
    bytes: Buffer.from(bytes),
    mimetype: MIME_TYPES[extname(name)] ?? "application/octet-stream",
  };
}

/** What came into a place since `before`; all of it when there was no before. */
export function since(view: ChatView, before: ChatView | undefined): ChatView {
  const known = new Set(before?.messages.map(({ id }) => id));
  return { ...view, messages: view.messages.filter(({ id }) => !known.has(id)) };
}

/** All that the bot shows in a view, in order; a file that is text is opened. */
export function botText(view: ChatView): string {
  return view.messages
    .filter(({ bot }) => bot)
    .flatMap(({ text, documents }) => [text, ...documents])
    .join("\n");
}

/** A file's name without its folders. */
export function nameOf(path: string): string {
  return basename(path);
}
