import type { Adapter, AdapterTools } from "../../src/core/ports.ts";
import type { SlackSettings } from "./settings.ts";
import { SlackAdapter } from "./slack-adapter.ts";

/** Opens nothing yet: `openIntake` receives, `openReply` writes. */
export function createSlackAdapter(settings: SlackSettings, tools: AdapterTools): Adapter {
  return new SlackAdapter(settings, tools);
}
