import type { Adapter } from "../../src/core/ports.ts";
import { DiscordAdapter, type DiscordTools } from "./discord-adapter.ts";
import type { DiscordSettings } from "./settings.ts";

/** The Discord adapter. Nothing is opened before `openIntake` or `openReply`. */
export function createDiscordAdapter(settings: DiscordSettings, tools: DiscordTools): Adapter {
  return new DiscordAdapter(settings, tools);
}
