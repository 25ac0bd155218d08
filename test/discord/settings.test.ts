import { expect, it } from "vitest";
import { DISCORD_VARIABLES } from "../../adapters/discord/settings.ts";

const TOKEN = ["discord", "test"].join(".");

it("is off without a token, also with an empty one", () => {
  expect(DISCORD_VARIABLES.parse({})).toBeUndefined();
  expect(DISCORD_VARIABLES.parse({ DISCORD_BOT_TOKEN: " " })).toBeUndefined();
});

it.each(["DISCORD_BOT_TOKEN", "DISCORD_TOKEN"])(
  "takes the token from %s, and Discord's own address",
  (name) => {
    const expected = { token: TOKEN, apiUrl: "https://discord.com/api" };
    expect(DISCORD_VARIABLES.parse({ [name]: TOKEN })).toEqual(expected);
  },
);

it("takes slashes off the end of the address", () => {
  const variables = { DISCORD_BOT_TOKEN: TOKEN, DISCORD_API_URL: "http://127.0.0.1:1/api//" };
  expect(DISCORD_VARIABLES.parse(variables)?.apiUrl).toBe("http://127.0.0.1:1/api");
});

it("refuses two different tokens and a broken address, both at once, without naming values", () => {
  const variables = { DISCORD_BOT_TOKEN: TOKEN, DISCORD_TOKEN: `${TOKEN}2`, DISCORD_API_URL: "nowhere" };
  const { error } = DISCORD_VARIABLES.safeParse(variables);
  expect(error?.issues.map(({ path }) => path.join())).toEqual(["DISCORD_TOKEN", "DISCORD_API_URL"]);
  expect(error?.message).not.toContain(TOKEN);
});
