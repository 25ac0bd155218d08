import type { Config } from "./config.ts";
import type { Adapter, AdapterTools } from "./core/ports.ts";

/** Loads the platforms that are configured, and only those: an SDK costs about 200 ms and 50 MiB. */
export async function openAdapters(config: Config, tools: AdapterTools): Promise<readonly Adapter[]> {
  const adapters: Adapter[] = [];
  if (config.discord !== undefined) {
    if (config.proxy !== undefined) {
      const { tunnelGateway } = await import("../adapters/discord/tunnel-gateway.ts");
      tunnelGateway(config.proxy);
    }
    const { createDiscordAdapter } = await import("../adapters/discord/index.ts");
    const log = tools.log.child({ platform: "discord" });
    adapters.push(createDiscordAdapter(config.discord, { ...tools, log }));
  }
  if (config.slack !== undefined) {
    const { createSlackAdapter } = await import("../adapters/slack/index.ts");
    const log = tools.log.child({ platform: "slack" });
    adapters.push(createSlackAdapter(config.slack, { ...tools, log }));
  }
  return adapters;
}
