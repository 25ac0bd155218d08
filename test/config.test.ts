import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  configuredServices,
  type Environment,
  loadConfig,
  loadCozeConfig,
  loadLoginConfig,
  loadStorageConfig,
  secretsOf,
} from "../src/config.ts";
import { BridgeError } from "../src/core/errors.ts";
import { hideSecrets } from "../src/log.ts";
import { VARIABLE_NAMES, VARIABLES } from "../src/variables.ts";
import { KEYS } from "./coze/auth/oauth-kit.ts";

const noFiles = (): string => {
  throw new Error("no such file");
};
const COZE = { COZE_API_TOKEN: "coze-secret-value", COZE_BOT_ID: "7380000000000000009" };
const DISCORD = { DISCORD_BOT_TOKEN: "discord-secret-value" };

/** Each problem is there in English and in Chinese, about the same variables. */
function expectBothLanguages(message: string): void {
  const [english = "", chinese = ""] = message.split("\n配置不完整：\n");
  const problems = english.split("\n").slice(1);
  const variables = (line: string): string[] => [...new Set(line.match(/[A-Z]{4,}(_[A-Z]+)*/g))].sort();
  expect(problems).not.toEqual([]);
  expect(chinese.split("\n").map(variables)).toEqual(problems.map(variables));
  for (const line of chinese.split("\n")) expect(line).toMatch(/\p{Script=Han}/u);
}

function problemsOf(env: Environment, readFile: (path: string) => string = noFiles): string {
  try {
    loadConfig(env, readFile);
  } catch (error) {
    expect(error).toBeInstanceOf(BridgeError);
    expect((error as BridgeError).code).toBe("CONFIG_INVALID");
    const { message } = error as BridgeError;
    expectBothLanguages(message);
    return message;
  }
  throw new Error("was accepted");
}

describe("configuration", () => {
  it("needs only Coze and one platform", () => {
    expect(loadConfig({ ...COZE, ...DISCORD }, noFiles)).toEqual({
      coze: {
        flavor: "hosted",
        signIn: { kind: "token", token: "coze-secret-value" },
        botId: "7380000000000000009",
        baseUrl: "https://api.coze.cn",
        chatsPerSecond: 20,
      },
      discord: {
        token: "discord-secret-value",
        apiUrl: "https://discord.com/api",
        secondAnswer: "thread",
        maxReplyParts: 5,
      },
      http: { host: "127.0.0.1", port: 8080 },
      dataDir: "./data",
      dedupeMs: 86_400_000,
      logLevel: "info",
      concurrency: 200,
      shutdownGraceMs: 25_000,
      catchUpWindowMs: 900_000,
      mergeBurstMs: 1_500,
      streamStyles: { usual: "live", elsewhere: new Map() },
    });
  });

  it("takes the names that others use", () => {
    const env = {
      coze_api_token: "a-token",
      COZE_BOT_ID: "1",
      COZE_CN_BASE_URL: "https://api.coze.com/",
      DISCORD_TOKEN: "b",
    };
    const config = loadConfig(env, noFiles);
    expect(config.coze).toEqual({
      flavor: "hosted",
      signIn: { kind: "token", token: "a-token" },
      botId: "1",
      baseUrl: "https://api.coze.com",
      chatsPerSecond: 20,
    });
    expect(config.discord?.token).toBe("b");
  });

  it.each(VARIABLE_NAMES)("says in Chinese, too, where %s comes from or what it may hold", (name) => {
    expect(VARIABLES[name].help.zh).toMatch(/\p{Script=Han}/u);
  });

  it("names everything that is missing or bad at once, and where to find it, but no value", () => {
    const message = problemsOf({
      COZE_BOT_ID: "my secret bot",
      SLACK_BOT_TOKEN: "xapp-hidden",
      PORT: "70000",
    });
    expect(message).toContain("COZE_API_TOKEN is missing: Coze: API & SDK");
    expect(message).toContain("COZE_BOT_ID does not fit");
    expect(message).toContain("SLACK_BOT_TOKEN does not fit");
    expect(message).toContain("PORT does not fit");
    expect(message).not.toMatch(/my secret|xapp-hidden|70000/);
    // What is bad is not missing as well, and there is a platform.
    expect(message).not.toMatch(/(BOT_ID|BOT_TOKEN) is missing/);
  });

  it.each([
    ["DISCORD_BOT_TOKEN", "“a-token”"],
    ["SLACK_BOT_TOKEN", "“xoxb-1”"],
    ["SLACK_APP_TOKEN", "xapp 1"],
    ["SLACK_SIGNING_SECRET", "ｓｅｃｒｅｔ"],
    ["COZE_API_TOKEN", '"pat_1'],
    ["COZE_API_TOKEN", "'pat_1'"],
    ["COZE_API_TOKEN", "pat_1`"],
    ["COZE_API_TOKEN", "Bearer pat_1"],
    ["COZE_BOT_ID", "https://www.coze.cn/space/1/bot/7380000000000000009"],
    ["DATA_DIR", "~/data"],
    ["DATA_DIR", "～/数据"],
  ])("finds what can't be meant in %s: %s", (name, value) => {
    expect(problemsOf({ ...COZE, ...DISCORD, [name]: value })).toContain(`${name} does not fit`);
  });

  it("says what a token and a bot's number look like to whoever filled in something else", () => {
    const bad = problemsOf({ COZE_API_TOKEN: '"pat_1', COZE_BOT_ID: "…/bot/1", ...DISCORD });
    expect(bad).toMatch(
      /COZE_API_TOKEN does not fit: .*; only ASCII letters, digits and signs, without quotes/,
    );
    expect(bad).toMatch(/COZE_API_TOKEN 填写有误：.*；只能含 ASCII 字母、数字和符号/);
    expect(bad).toMatch(/COZE_BOT_ID does not fit: .*; digits alone/);
    expect(bad).toMatch(/COZE_BOT_ID 填写有误：.*；只填数字/);
    expect(problemsOf({})).not.toMatch(/ASCII|digits alone/);
    expect(loadConfig({ ...COZE, ...DISCORD, COZE_API_TOKEN: "a\"b'c`d" }, noFiles)).toBeDefined();
  });

  it("says that Slack needs a way to receive", () => {
    const message = problemsOf({ ...COZE, SLACK_BOT_TOKEN: "xoxb" });
    expect(message).toContain("SLACK_APP_TOKEN is missing");
    expect(message).toContain("SLACK_SIGNING_SECRET");
  });

  it("does not choose between two names with different values", () => {
    const message = problemsOf({ ...COZE, ...DISCORD, DISCORD_TOKEN: "another" });
    expect(message).toContain("DISCORD_BOT_TOKEN and DISCORD_TOKEN differ");
    expect(message).not.toContain("missing");
    expect(
      loadConfig({ ...COZE, ...DISCORD, DISCORD_TOKEN: "discord-secret-value" }, noFiles).discord,
    ).toBeDefined();
  });

  it("reads secrets from files, and says which file it cannot read", () => {
    const env = { COZE_BOT_ID: "1", COZE_API_TOKEN_FILE: "/run/secrets/coze", ...DISCORD };
    expect(loadConfig(env, () => "from-file\n").coze.signIn).toEqual({ kind: "token", token: "from-file" });
    expect(problemsOf(env)).toContain("COZE_API_TOKEN_FILE names a file that cannot be read");
    expect(problemsOf(env)).not.toContain("missing");
    expect(loadConfig({ ...COZE, DISCORD_TOKEN_FILE: "/d" }, () => "d").discord?.token).toBe("d");
    expect(problemsOf(env, () => " \n")).toContain("COZE_API_TOKEN_FILE names an empty file");
  });

  it("takes an empty variable for an unset one, as Compose files leave them", () => {
    expect(
      loadConfig({ ...COZE, ...DISCORD, SLACK_BOT_TOKEN: "", PORT: " " }, noFiles).slack,
    ).toBeUndefined();
  });

  it("refuses plain http except on this machine", () => {
    expect(problemsOf({ ...COZE, ...DISCORD, COZE_API_BASE: "http://api.coze.cn" })).toContain(
      "COZE_API_BASE",
    );
    const local = loadConfig({ ...COZE, ...DISCORD, COZE_API_BASE: "http://127.0.0.1:1234" }, noFiles);
    expect(local.coze.baseUrl).toBe("http://127.0.0.1:1234");
  });

  describe("for a self-hosted Coze Studio", () => {
    const STUDIO = { COZE_FLAVOR: "studio", COZE_API_BASE: "http://10.0.0.5:8888/" };

    it("takes plain http to any host, and a token", () => {
      const { coze } = loadConfig({ ...COZE, ...DISCORD, ...STUDIO }, noFiles);
      expect(coze).toMatchObject({ flavor: "studio", baseUrl: "http://10.0.0.5:8888" });
      expect(loadConfig({ ...COZE, ...DISCORD, COZE_FLAVOR: "hosted" }, noFiles).coze.flavor).toBe("hosted");
      expect(problemsOf({ ...COZE, ...DISCORD, COZE_FLAVOR: "mine" })).toContain(
        "COZE_FLAVOR does not fit: hosted",
      );
    });

    it("has no address that could be guessed", () => {
      const message = problemsOf({ ...COZE, ...DISCORD, COZE_FLAVOR: "studio" });
      expect(message).toContain("COZE_API_BASE is missing with COZE_FLAVOR=studio: your server's address");
      const bad = problemsOf({ ...COZE, ...DISCORD, COZE_FLAVOR: "studio", COZE_API_BASE: "10.0.0.5:8888" });
      expect(bad).toContain("COZE_API_BASE does not fit");
      expect(bad).not.toContain("is missing");
      // As .env.example has it.
      const left = { COZE_FLAVOR: "studio", COZE_API_BASE: "https://api.coze.cn" };
      expect(problemsOf({ ...COZE, ...DISCORD, ...left })).toContain("COZE_API_BASE is the hosted service");
    });

    it("lets nobody sign in, and the hosted service nobody without TLS", () => {
      expect(() => loadLoginConfig(STUDIO, noFiles)).toThrow("nobody signs in to a Coze Studio here");
      const plain = { COZE_API_BASE: "http://api.coze.cn" };
      expect(() => loadLoginConfig(plain, noFiles)).toThrow("COZE_API_BASE does not fit");
    });

    it("signs in with a token and in no other way", () => {
      const oauth = {
        COZE_OAUTH_CLIENT_ID: "1",
        COZE_OAUTH_PUBLIC_KEY_ID: "2",
        COZE_OAUTH_PRIVATE_KEY: KEYS.privateKey,
        COZE_OAUTH_SESSION_NAME: "x",
      };
      const message = problemsOf({ COZE_BOT_ID: "1", ...DISCORD, ...STUDIO, ...oauth });
      expect(message).toContain("COZE_API_TOKEN is missing");
      for (const name of Object.keys(oauth)) {
        expect(message).toContain(`${name} is set, but a Coze Studio has no OAuth apps`);
      }
      // Nor with what somebody signed in once, which is the hosted service's.
      const stored = (path: string): string => (path.endsWith("coze.tokens") ? "sealed" : noFiles());
      expect(problemsOf({ COZE_BOT_ID: "1", ...DISCORD, ...STUDIO }, stored)).toContain(
        "COZE_API_TOKEN is missing",
      );
    });
  });

  it.each([
    "https://me:hidden@api.coze.cn",
    "https://api.coze.cn@127.0.0.1",
    "https://api.coze.cn?hidden=1",
    "https://api.coze.cn/#hidden",
  ])("refuses an address with a password, a question or a mark in it: %s", (address) => {
    const message = problemsOf({ ...COZE, ...DISCORD, COZE_API_BASE: address });
    expect(message).toContain("COZE_API_BASE does not fit");
    expect(message).not.toContain("hidden");
  });

  it.each(["two\nlines", "токен", "with a space", "\u001B[31m"])(
    "refuses a token that none can be: %j",
    (token) => {
      const message = problemsOf({ ...COZE, ...DISCORD, COZE_API_TOKEN: token });
      expect(message).toContain("COZE_API_TOKEN does not fit");
      expect(message).not.toContain(token);
    },
  );

  it("takes Redis, together with the key that all its processes share", () => {
    const env = { ...COZE, ...DISCORD, REDIS_URL: "rediss://me:pass%2Fword@redis.example:6380/2" };
    expect(problemsOf(env)).toContain("SECRET_KEY is missing with REDIS_URL");
    expect(problemsOf({ ...env, SECRET_KEY: "too short" })).toContain("SECRET_KEY does not fit: at least 32");
    const config = loadConfig({ ...env, SECRET_KEY: "k".repeat(32) }, noFiles);
    expect([config.redisUrl, config.secretKey]).toEqual([env.REDIS_URL, "k".repeat(32)]);
    expect(secretsOf(config)).toEqual(expect.arrayContaining(["k".repeat(32), "pass%2Fword", "pass/word"]));
  });

  it.each(["http://127.0.0.1:6379", "127.0.0.1:6379", "redis://"])("does not take %s for a Redis", (url) => {
    expect(problemsOf({ ...COZE, ...DISCORD, REDIS_URL: url })).toContain("REDIS_URL does not fit: redis://");
  });

  it("takes an HTTP proxy with its exceptions, for commands too, and hides its password", () => {
    const HTTPS_PROXY = "http://me:pass%2Fword@127.0.0.1:7890";
    const proxy = { url: HTTPS_PROXY, except: "api.coze.cn" };
    const env = { ...COZE, ...DISCORD, HTTPS_PROXY, no_proxy: "api.coze.cn" };
    const config = loadConfig(env, noFiles);
    expect(config.proxy).toEqual(proxy);
    expect(secretsOf(config)).toEqual(expect.arrayContaining(["pass%2Fword", "pass/word"]));
    expect(loadCozeConfig(env, noFiles).proxy).toEqual(proxy);
    expect(loadLoginConfig(env, noFiles).proxy).toEqual(proxy);
    const inSmall = { ...env, HTTPS_PROXY: "", https_proxy: "http://10.0.0.1:8080/" };
    expect(loadConfig(inSmall, noFiles).proxy?.url).toBe("http://10.0.0.1:8080/");
    expect(loadConfig({ ...COZE, ...DISCORD, NO_PROXY: "*" }, noFiles)).not.toHaveProperty("proxy");
  });

  it.each(["127.0.0.1:7890", "socks5://127.0.0.1:7890", "http://127.0.0.1:7890/pac", "http://"])(
    "refuses the proxy %s, and says what to write",
    (url) => {
      const problems = problemsOf({ ...COZE, ...DISCORD, HTTPS_PROXY: url });
      expect(problems).toContain("HTTPS_PROXY does not fit: the address of an HTTP proxy");
      expect(problems).toContain("e.g. http://127.0.0.1:7890;");
    },
  );

  it("reads times with their units, and 0 for off", () => {
    const times = { SHUTDOWN_GRACE: "250ms", CATCHUP_WINDOW: "24h", MERGE_BURST: "0" };
    expect(loadConfig({ ...COZE, ...DISCORD, ...times }, noFiles)).toMatchObject({
      shutdownGraceMs: 250,
      catchUpWindowMs: 86_400_000,
      mergeBurstMs: 0,
    });
    const bad = { SHUTDOWN_GRACE: "25", CATCHUP_WINDOW: "200h", MERGE_BURST: "-1s" };
    for (const name of Object.keys(bad)) {
      expect(problemsOf({ ...COZE, ...DISCORD, ...bad })).toContain(
        `${name} does not fit: a time with its unit`,
      );
    }
  });

  it("lets an answer have 1 to 20 messages, on both platforms", () => {
    const slack = { SLACK_BOT_TOKEN: "xoxb", SLACK_APP_TOKEN: "xapp" };
    for (const count of ["1", "20"]) {
      const config = loadConfig({ ...COZE, ...DISCORD, ...slack, MAX_REPLY_PARTS: count }, noFiles);
      expect([config.discord?.maxReplyParts, config.slack?.maxReplyParts]).toEqual([
        Number(count),
        Number(count),
      ]);
    }
    for (const count of ["0", "21", "5.5", "many"]) {
      const message = problemsOf({ ...COZE, ...DISCORD, MAX_REPLY_PARTS: count });
      expect(message).toContain("MAX_REPLY_PARTS does not fit: 1 to 20 messages, 5 by default");
    }
  });

  it("needs no tokens to find queue and store, but what is set must fit", () => {
    expect(loadStorageConfig({}, noFiles)).toEqual({ dataDir: "./data", dedupeMs: 86_400_000 });
    const found = loadStorageConfig({ DATA_DIR: "/d", REDIS_URL_FILE: "/r" }, () => "redis://r");
    expect(found).toMatchObject({ dataDir: "/d", redisUrl: "redis://r" });
    expect(() => loadStorageConfig({ REDIS_URL: "nonsense" }, noFiles)).toThrow("REDIS_URL does not fit");
  });

  it("knows keys for twice as long as it looks back, and for a day at least", () => {
    for (const [window, dedupeMs] of [
      ["0", 86_400_000],
      ["12h", 86_400_000],
      ["13h", 93_600_000],
    ] as const) {
      expect(loadStorageConfig({ CATCHUP_WINDOW: window }, noFiles)).toMatchObject({ dedupeMs });
    }
  });

  it("tells which services have credentials", () => {
    expect(configuredServices({})).toEqual({ coze: false, platforms: false });
    expect(configuredServices({ coze_api_token: "x" })).toEqual({ coze: true, platforms: false });
    expect(configuredServices({ COZE_OAUTH_CLIENT_ID: "x" })).toEqual({ coze: true, platforms: false });
    expect(configuredServices({ DISCORD_TOKEN: "x" })).toEqual({ coze: false, platforms: true });
    expect(configuredServices({ SLACK_BOT_TOKEN_FILE: "/x" })).toEqual({ coze: false, platforms: true });
  });

  it("knows its secrets, for redaction", () => {
    const slack = { SLACK_BOT_TOKEN: "xoxb", SLACK_APP_TOKEN: "xapp", SLACK_SIGNING_SECRET: "sign" };
    expect(secretsOf(loadConfig({ ...COZE, ...DISCORD, ...slack }, noFiles))).toEqual([
      "coze-secret-value",
      "discord-secret-value",
      "xoxb",
      "xapp",
      "sign",
    ]);
  });

  describe("of the way to sign in to Coze", () => {
    const APP = {
      COZE_OAUTH_CLIENT_ID: "1100000000001",
      COZE_OAUTH_PUBLIC_KEY_ID: "fingerprint-1",
      COZE_OAUTH_PRIVATE_KEY: KEYS.privateKey,
    };
    const BOT = { COZE_BOT_ID: "7380000000000000009", ...DISCORD };

    it("takes the end of a token, as a day or to the second", () => {
      const endOf = (text: string): unknown =>
        loadConfig({ ...COZE, ...DISCORD, COZE_API_TOKEN_EXPIRES: text }, noFiles).coze.signIn;
      expect(endOf("2026-12-20")).toMatchObject({ endsAt: Date.UTC(2026, 11, 20) });
      expect(endOf("2026-12-20T08:00:00+08:00")).toMatchObject({ endsAt: Date.UTC(2026, 11, 20) });
      for (const text of ["soon", "2026-13-01", "20.12.2026"]) {
        expect(problemsOf({ ...COZE, ...DISCORD, COZE_API_TOKEN_EXPIRES: text })).toContain("2026-12-20");
      }
    });

    it("takes an OAuth app, its key from a file, and knows every line of the key as a secret", () => {
      const { COZE_OAUTH_PRIVATE_KEY, ...rest } = APP;
      const env = { ...BOT, ...rest, COZE_OAUTH_PRIVATE_KEY_FILE: "/key", COZE_OAUTH_SESSION_NAME: "ada" };
      const config = loadConfig({ ...env, COZE_OAUTH_ACCOUNT_ID: "74" }, () => COZE_OAUTH_PRIVATE_KEY);
      expect(config.coze.signIn).toEqual({
        kind: "jwt",
        clientId: "1100000000001",
        publicKeyId: "fingerprint-1",
        privateKey: KEYS.privateKey.trim(),
        accountId: "74",
        sessionName: "ada",
      });
      const lines = KEYS.privateKey.trim().split("\n").slice(1, -1);
      expect(secretsOf(config)).toEqual([...lines, "discord-secret-value"]);
      expect(hideSecrets(JSON.stringify({ key: KEYS.privateKey }), secretsOf(config))).not.toMatch(
        /[\w+/]{20}/,
      );
    });

    it("takes what somebody signed in, where nothing else is set", () => {
      const asked: string[] = [];
      const readFile = (path: string): string => {
        asked.push(path);
        return "s1.sealed";
      };
      expect(loadConfig({ ...BOT, DATA_DIR: "/d" }, readFile).coze.signIn).toEqual({ kind: "stored" });
      expect(asked).toEqual(["/d/sign-in/coze.tokens"]);
      expect(loadConfig({ ...COZE, ...DISCORD }, readFile).coze.signIn.kind).toBe("token");
      const message = problemsOf(BOT);
      for (const way of [
        "COZE_API_TOKEN is missing",
        "… or COZE_OAUTH_CLIENT_ID",
        "coze-bridge auth login",
      ]) {
        expect(message).toContain(way);
      }
    });

    it.each([
      [
        { ...COZE, ...APP },
        "COZE_API_TOKEN and COZE_OAUTH_… are two ways to sign in to Coze: set one of them",
      ],
      [{ COZE_OAUTH_CLIENT_ID: "1" }, "COZE_OAUTH_PRIVATE_KEY is missing for the OAuth app"],
      [{ COZE_OAUTH_CLIENT_ID: "1" }, "COZE_OAUTH_PUBLIC_KEY_ID is missing for the OAuth app"],
      [{ ...APP, COZE_OAUTH_PRIVATE_KEY: KEYS.publicKey }, "COZE_OAUTH_PRIVATE_KEY is the public half"],
      [
        { ...APP, COZE_API_TOKEN_EXPIRES: "2026-12-20" },
        "COZE_API_TOKEN_EXPIRES is set without COZE_API_TOKEN",
      ],
      [
        { ...COZE, COZE_OAUTH_SESSION_NAME: "a" },
        "COZE_OAUTH_SESSION_NAME is set without COZE_OAUTH_CLIENT_ID",
      ],
      [{ ...APP, COZE_OAUTH_ACCOUNT_ID: "mine" }, "COZE_OAUTH_ACCOUNT_ID does not fit"],
    ])("takes one whole way: %#", (env, problem) => {
      const message = problemsOf({ ...BOT, ...env });
      expect(message).toContain(problem);
      expect(message).not.toContain("COZE_API_TOKEN is missing");
    });
  });

  it("is what .env.example lists, in its order", () => {
    const example = readFileSync(join(import.meta.dirname, "../.env.example"), "utf8");
    const names = [...example.matchAll(/^#?([A-Z][A-Z_]+)=/gm)].map((match) => match[1]);
    expect(names).toEqual([...VARIABLE_NAMES]);
  });
});
