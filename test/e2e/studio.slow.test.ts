import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { samplePicture } from "../../sandbox/sample-picture.ts";
import { studioViolations } from "../coze/specs/studio.ts";
import { discordViolations } from "../discord/discord-spec.ts";
import { expectAnswer, openBridge } from "./bridge-under-test.ts";

it("answers on Discord from a self-hosted Coze Studio, also what it was writing when it was killed", async () => {
  await using bridge = await openBridge({ speed: 4, standIns: { coze: { flavor: "studio" } } });
  const { discord, services } = bridge;
  const bytes = samplePicture();
  const described = expectedAnswer({
    text: "What is this?",
    files: [{ name: "sunset.png", bytes: bytes.length, kind: "image" }],
  });
  const text = "tell me a story";
  const place = discord.mention(text);
  await expect.poll(() => services.coze.chats.length, { interval: 5 }).toBe(1);
  await bridge.killAndRestart();
  await expectAnswer(discord, place, expectedAnswer({ text }));
  expect(services.coze.chats).toHaveLength(1);
  await expectAnswer(discord, discord.dm("What is this?", [{ name: "sunset.png", bytes }]), described);
  expect(studioViolations(services.coze.traffic.exchanges)).toEqual([]);
  expect(discordViolations(services.discord.traffic.exchanges)).toEqual([]);
});
