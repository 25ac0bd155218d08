import { expect, it } from "vitest";
import { startBridge } from "../../sandbox/bridge-child.ts";
import { startServices } from "../../sandbox/services.ts";
import { makeTestFolder } from "../queue/embedded.ts";
import { startTlsProxy } from "../tls-proxy.ts";

const poll = { timeout: 60_000, interval: 20 };

it("where only a proxy knows the way, all that a bridge says goes through it, and its password stays out of the log", async () => {
  await using services = await startServices({
    env: {},
    speed: 20,
    discord: { publicOrigin: "https://discord.test" },
    slack: { publicOrigin: "https://slack.test" },
  });
  const { coze, discord, slack } = services;
  await using proxy = await startTlsProxy({
    "api.coze": Number(new URL(coze.url).port),
    discord: Number(new URL(discord.apiUrl).port),
    slack: Number(new URL(slack.apiUrl).port),
  });
  await using folder = await makeTestFolder();
  let log = "";
  await using _ = await startBridge({
    env: {
      ...services.bridgeEnv,
      COZE_API_BASE: "https://api.coze.test",
      DISCORD_API_URL: "https://discord.test/api",
      SLACK_API_URL: "https://slack.test/api",
      HTTPS_PROXY: proxy.url,
      NODE_EXTRA_CA_CERTS: proxy.caFile,
      DATA_DIR: folder.path,
      PORT: "0",
      LOG_LEVEL: "debug",
    },
    trustedOrigins: ["https://discord.test", "https://slack.test"],
    stderr: (text) => {
      log += text;
    },
  });
  const notes = { name: "notes.txt", bytes: Buffer.from("what was said"), contentType: "text/plain" };
  discord.person("Ada").say(discord.general, "@Coze hello", { files: [notes] });
  const grace = slack.person("Grace");
  grace.dm("hello");
  const inDiscord = (): string => JSON.stringify(discord.view(discord.general));
  await expect.poll(inDiscord, poll).toContain("notes.txt:\\n```\\nwhat was said");
  const dm = slack.workspace.dmWith(grace.id).id;
  const inSlack = (): string => JSON.stringify(slack.view(dm));
  await expect.poll(inSlack, poll).toContain("You said: hello");
  expect(new Set(proxy.tunnels)).toEqual(
    new Set(["api.coze.test:443", "discord.test:443", "slack.test:443"]),
  );
  expect(proxy.refused).toBe(0);
  expect(log).toContain('"msg":"a proxy is used"');
  expect(log).not.toContain("sesame");
});
