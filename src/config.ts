import { join } from "node:path";
import type { DiscordSettings } from "../adapters/discord/settings.ts";
import type { SlackSettings } from "../adapters/slack/settings.ts";
import { BridgeError } from "./core/errors.ts";
import type { HttpProxy } from "./core/ports.ts";
import type { Locale } from "./core/turn.ts";
import { parsePrivateKey } from "./coze/auth/jwt.ts";
import type { FlavorName } from "./coze/flavor.ts";
import { parseDuration } from "./duration.ts";
import { DEDUPE_MS } from "./queue/limits.ts";
import { parseStreamStyles, type StreamStyles } from "./stream-style.ts";
import {
  isSafe,
  LOG_LEVELS,
  type LogLevel,
  spellings,
  VARIABLE_NAMES,
  VARIABLES,
  type VariableName,
  type Words,
} from "./variables.ts";

/** The whole configuration, typed; nothing else reads the environment. */
export interface Config extends StorageConfig {
  readonly coze: {
    readonly flavor: FlavorName;
    readonly signIn: CozeSignIn;
    readonly baseUrl: string;
    readonly botId: string;
    readonly chatsPerSecond: number;
  };
  readonly discord?: DiscordSettings;
  readonly slack?: SlackSettings;
  /** What Coze and the platforms are reached through; directly when absent. */
  readonly proxy?: HttpProxy;
  readonly http: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  /** Turns answered at once. */
  readonly concurrency: number;
  /** Seals secrets at rest; the key file in `dataDir` when absent. Always there with Redis. */
  readonly secretKey?: string;
  /** Time that running answers have to end at a shutdown, in ms. */
  readonly shutdownGraceMs: number;
  /** How far back questions are looked for that were written while nobody listened, in ms; 0 is off. */
  readonly catchUpWindowMs: number;
  /** Messages of one person at most this far apart are answered together when they had to wait, in ms; 0 is off. */
  readonly mergeBurstMs: number;
  /** Whether people see an answer grow, or only when it is complete. */
  readonly streamStyles: StreamStyles;
}

/** How the bridge signs in to Coze. */
export type CozeSignIn =
  /** A personal or service access token. */
  | {
      readonly kind: "token";
      readonly token: string;
      /** When it ends, if the operator told; in ms since the epoch. */
      readonly endsAt?: number;
    }
  /** An OAuth service app, which signs. */
  | {
      readonly kind: "jwt";
      readonly clientId: string;
      readonly publicKeyId: string;
      /** PEM. */
      readonly privateKey: string;
      readonly accountId?: string;
      readonly sessionName?: string;
    }
  /** A person signed in by `coze-bridge auth login`; see {@link signInPath}. */
  | { readonly kind: "stored" };

/** Where `coze-bridge auth login` keeps what it got. */
export function signInPath(dataDir: string): string {
  return join(dataDir, "sign-in", "coze.tokens");
}

/** Where queue and store are. */
export interface StorageConfig {
  readonly dataDir: string;
  /** Queue and store on Redis; in a file of `dataDir` when absent. */
  readonly redisUrl?: string;
  /** How long a key is known after its turn was accepted, in ms; the queue's own default when absent. */
  readonly dedupeMs?: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads only where queue and store are: what a command needs that answers nobody.
 *
 * @throws {BridgeError} `CONFIG_INVALID`, as {@link loadConfig} does.
 */
export function loadStorageConfig(env: Environment, readFile: (path: string) => string): StorageConfig {
  const { values, problems } = readVariables(env, readFile, ["DATA_DIR", "REDIS_URL", "CATCHUP_WINDOW"]);
  demandNone(problems);
  return toStorageConfig(values);
}

/** What a command needs that talks to Coze and serves no platform. */
export type CozeConfig = Pick<Config, "coze" | "dataDir" | "secretKey" | "proxy">;

/**
 * Reads only how to reach Coze.
 *
 * @returns `botId` is empty when none is set.
 * @throws {BridgeError} `CONFIG_INVALID`, as {@link loadConfig} does.
 */
export function loadCozeConfig(env: Environment, readFile: (path: string) => string): CozeConfig {
  const names = VARIABLE_NAMES.filter((name) => name.startsWith("COZE_"));
  const { values, problems, spoiled } = readVariables(env, readFile, [
    ...names,
    ...PROXY_NAMES,
    "DATA_DIR",
    "SECRET_KEY",
  ]);
  const has = (name: VariableName): boolean => values[name] !== undefined || spoiled.has(name);
  problems.push(...cozeProblems(values, has, readFile));
  demandNone(problems);
  const { dataDir } = toStorageConfig(values);
  return {
    dataDir,
    coze: toCozeConfig(values),
    ...toProxyConfig(values),
    ...(values.SECRET_KEY !== undefined && { secretKey: values.SECRET_KEY }),
  };
}

/**
 * Reads only where to sign in to Coze, and where to keep what that brings.
 *
 * @throws {BridgeError} `CONFIG_INVALID`, as {@link loadConfig} does.
 */
export function loadLoginConfig(
  env: Environment,
  readFile: (path: string) => string,
): Pick<Config, "dataDir" | "secretKey" | "proxy"> & { readonly baseUrl: string } {
  const names = ["COZE_API_BASE", "COZE_FLAVOR", ...PROXY_NAMES, "DATA_DIR", "SECRET_KEY"] as const;
  const { values, problems } = readVariables(env, readFile, names);
  problems.push(...hostedProblems(values));
  if (values.COZE_FLAVOR === "studio") {
    problems.push({
      en: "COZE_FLAVOR is studio, and nobody signs in to a Coze Studio here: set COZE_API_TOKEN instead",
      zh: "COZE_FLAVOR 是 studio，这里不能登录自行部署的 Coze Studio：请改填 COZE_API_TOKEN",
    });
  }
  demandNone(problems);
  return {
    baseUrl: toBaseUrl(values),
    dataDir: toStorageConfig(values).dataDir,
    ...toProxyConfig(values),
    ...(values.SECRET_KEY !== undefined && { secretKey: values.SECRET_KEY }),
  };
}

/**
 * Reads the whole configuration once.
 *
 * @param readFile - Reads a `*_FILE`; throws when it cannot.
 * @throws {BridgeError} `CONFIG_INVALID`, listing every bad or missing variable at once, never its value.
 */
export function loadConfig(env: Environment, readFile: (path: string) => string): Config {
  const { values, problems, spoiled } = readVariables(env, readFile);
  const has = (name: VariableName): boolean => values[name] !== undefined || spoiled.has(name);
  problems.push(...cozeProblems(values, has, readFile), ...missing({ has }));
  demandNone(problems);
  return toConfig(values);
}

function demandNone(problems: readonly Words[]): void {
  if (problems.length === 0) return;
  const list = (locale: Locale): string => problems.map((problem) => `  - ${problem[locale]}`).join("\n");
  const text = `The configuration is not complete:\n${list("en")}\n配置不完整：\n${list("zh")}`;
  throw new BridgeError("CONFIG_INVALID", text);
}

function isMissing(name: VariableName, why: Words = { en: "", zh: "" }): Words {
  const { en, zh } = VARIABLES[name].help;
  return { en: `${name} is missing${why.en}: ${en}`, zh: `缺少 ${name}${why.zh}：${zh}` };
}

function orElse(name: VariableName): Words {
  const { en, zh } = VARIABLES[name].help;
  return { en: `… or ${name}: ${en}`, zh: `… 或 ${name}：${zh}` };
}

/** @param spelling - The name that was used. */
function doesNotFit(name: VariableName, spelling: string = name): Words {
  const { help, form } = VARIABLES[name];
  const more = (locale: Locale, mark: string): string => (form === undefined ? "" : mark + form[locale]);
  return {
    en: `${spelling} does not fit: ${help.en}${more("en", "; ")}`,
    zh: `${spelling} 填写有误：${help.zh}${more("zh", "；")}`,
  };
}

/** Which of the three services have credentials; decides between bridge and sandbox. */
export function configuredServices(env: Environment): { coze: boolean; platforms: boolean } {
  const has = (name: VariableName): boolean => spellings(name).some((spelling) => isSet(env, spelling));
  return {
    coze: has("COZE_API_TOKEN") || has("COZE_OAUTH_CLIENT_ID"),
    platforms: (
      ["DISCORD_BOT_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"] as const
    ).some(has),
  };
}

/** Values of the secrets that are set, for redaction. */
export function secretsOf({
  coze,
  discord,
  slack,
  secretKey,
  redisUrl,
  proxy,
}: Pick<Config, "coze"> & Partial<Config>): readonly string[] {
  const tokens = [
    ...signInSecrets(coze.signIn),
    discord?.token,
    slack?.botToken,
    slack?.appToken,
    slack?.signingSecret,
  ];
  const passwords = [redisUrl, proxy?.url].flatMap((url) => (url === undefined ? [] : passwordsOf(url)));
  const secrets = [...tokens, secretKey, ...passwords];
  return secrets.filter((secret) => secret !== undefined);
}

function signInSecrets(signIn: CozeSignIn): readonly string[] {
  switch (signIn.kind) {
    case "token":
      return [signIn.token];
    case "jwt":
      // Line by line, since a log writes line ends as two characters, and any line of it is too much.
      return signIn.privateKey.split(/\n|\\n/).filter((line) => line !== "" && !line.startsWith("-----"));
    case "stored":
      return [];
  }
}

/** An address' password, as it is written there and as it is meant. */
function passwordsOf(url: string): readonly string[] {
  const { password } = new URL(url);
  if (password === "") return [];
  return [...new Set([password, decodeURIComponent(password)])];
}

type Values = Partial<Record<VariableName, string>>;

/** @returns `spoiled`: what is set, but to nothing that can be used; the problems tell why. */
function readVariables(
  env: Environment,
  readFile: (path: string) => string,
  names: readonly VariableName[] = VARIABLE_NAMES,
): { values: Values; problems: Words[]; spoiled: ReadonlySet<VariableName> } {
  const values: Values = {};
  const problems: Words[] = [];
  const spoiled = new Set<VariableName>();
  const spoil = (name: VariableName, problem: Words): void => {
    problems.push(problem);
    spoiled.add(name);
  };
  for (const name of names) {
    const found = findValue(name, env, readFile);
    if ("problem" in found) spoil(name, found.problem);
    else if (found.value !== undefined) {
      const parsed = VARIABLES[name].schema.safeParse(found.value);
      if (parsed.success) values[name] = parsed.data;
      else spoil(name, doesNotFit(name, found.spelling));
    }
  }
  return { values, problems, spoiled };
}

type Found = { value: string | undefined; spelling: string } | { problem: Words };

/** A variable under any of its names; two names with different values are a mistake we do not decide. */
function findValue(name: VariableName, env: Environment, readFile: (path: string) => string): Found {
  const found: { value: string; spelling: string }[] = [];
  for (const spelling of spellings(name)) {
    const text = env[spelling]?.trim();
    if (text === undefined || text === "") continue;
    if (!spelling.endsWith("_FILE")) found.push({ value: text, spelling });
    else {
      try {
        found.push({ value: readFile(text).trim(), spelling });
      } catch {
        // The path may itself be a misplaced secret: the name says enough.
        const en = `${spelling} names a file that cannot be read`;
        return { problem: { en, zh: `${spelling} 指向的文件无法读取` } };
      }
    }
  }
  const [first, ...others] = found;
  if (first === undefined) return { value: undefined, spelling: name };
  if (first.value === "") {
    const en = `${first.spelling} names an empty file`;
    return { problem: { en, zh: `${first.spelling} 指向的文件是空的` } };
  }
  const other = others.find(({ value }) => value !== first.value);
  if (other !== undefined) {
    const en = `${first.spelling} and ${other.spelling} differ; set one of them`;
    return { problem: { en, zh: `${first.spelling} 和 ${other.spelling} 的值不同，请只填一个` } };
  }
  return first;
}

function isSet(env: Environment, spelling: string): boolean {
  return (env[spelling]?.trim() ?? "") !== "";
}

/** What an OAuth service app cannot do without; one of them set means that it shall be used. */
const JWT_NAMES = ["COZE_OAUTH_CLIENT_ID", "COZE_OAUTH_PUBLIC_KEY_ID", "COZE_OAUTH_PRIVATE_KEY"] as const;
const JWT_OPTIONS = ["COZE_OAUTH_ACCOUNT_ID", "COZE_OAUTH_SESSION_NAME"] as const;

function cozeProblems(
  values: Values,
  has: (name: VariableName) => boolean,
  readFile: (path: string) => string,
): Words[] {
  if (values.COZE_FLAVOR === "studio") return studioProblems(values, has);
  return [...hostedProblems(values), ...signInProblems(values, has, () => isSignedIn(values, readFile))];
}

/** Tokens of the hosted service travel by TLS alone. */
function hostedProblems({ COZE_API_BASE: base, COZE_FLAVOR: flavor }: Values): Words[] {
  const isPlain = flavor !== "studio" && base !== undefined && !isSafe(new URL(base));
  return isPlain ? [doesNotFit("COZE_API_BASE")] : [];
}

/** A server of one's own has an address that nobody can guess, and knows personal access tokens only (coze-api.md §18). */
function studioProblems({ COZE_API_BASE: base }: Values, has: (name: VariableName) => boolean): Words[] {
  const problems: Words[] = [];
  const example: Words = {
    en: "your server's address, e.g. http://10.0.0.5:8888",
    zh: "你的服务器地址，例如 http://10.0.0.5:8888",
  };
  if (!has("COZE_API_BASE")) {
    problems.push({
      en: `COZE_API_BASE is missing with COZE_FLAVOR=studio: ${example.en}`,
      zh: `COZE_FLAVOR=studio 时缺少 COZE_API_BASE：${example.zh}`,
    });
  }
  if (base !== undefined && isHosted(base)) {
    problems.push({
      en: `COZE_API_BASE is the hosted service, but COZE_FLAVOR is studio: set ${example.en}, or remove COZE_FLAVOR`,
      zh: `COZE_API_BASE 是官方服务，而 COZE_FLAVOR 是 studio：请填${example.zh}，或删除 COZE_FLAVOR`,
    });
  }
  if (!has("COZE_API_TOKEN")) {
    problems.push({
      en: "COZE_API_TOKEN is missing: your Coze Studio makes one where it offers API tokens",
      zh: "缺少 COZE_API_TOKEN：在你的 Coze Studio 提供 API 令牌的地方创建",
    });
  }
  for (const name of [...JWT_NAMES, ...JWT_OPTIONS].filter(has)) {
    problems.push({
      en: `${name} is set, but a Coze Studio has no OAuth apps: remove it, and set COZE_API_TOKEN`,
      zh: `填了 ${name}，但 Coze Studio 没有 OAuth 应用：请删除它，改填 COZE_API_TOKEN`,
    });
  }
  return problems;
}

function isHosted(baseUrl: string): boolean {
  return /(^|\.)coze\.(cn|com)$/.test(new URL(baseUrl).hostname);
}

/** Exactly one way to sign in to Coze. */
function signInProblems(
  values: Values,
  has: (name: VariableName) => boolean,
  isStored: () => boolean,
): Words[] {
  const problems: Words[] = [];
  const jwt = JWT_NAMES.some(has);
  if (has("COZE_API_TOKEN") && jwt) {
    problems.push({
      en: "COZE_API_TOKEN and COZE_OAUTH_… are two ways to sign in to Coze: set one of them",
      zh: "COZE_API_TOKEN 和 COZE_OAUTH_… 是两种登录方式，请只填一种",
    });
  }
  if (has("COZE_API_TOKEN_EXPIRES") && !has("COZE_API_TOKEN")) {
    problems.push({
      en: "COZE_API_TOKEN_EXPIRES is set without COZE_API_TOKEN: nothing else has an end that can be told",
      zh: "填了 COZE_API_TOKEN_EXPIRES 却没有 COZE_API_TOKEN：到期日只属于它",
    });
  }
  for (const name of jwt ? JWT_NAMES : []) {
    if (!has(name)) problems.push(isMissing(name, { en: " for the OAuth app", zh: "（OAuth 应用需要）" }));
  }
  for (const name of jwt ? [] : JWT_OPTIONS.filter(has)) {
    const { en, zh } = VARIABLES.COZE_OAUTH_CLIENT_ID.help;
    problems.push({
      en: `${name} is set without COZE_OAUTH_CLIENT_ID: ${en}`,
      zh: `填了 ${name} 却没有 COZE_OAUTH_CLIENT_ID：${zh}`,
    });
  }
  const key = values.COZE_OAUTH_PRIVATE_KEY;
  const keyProblem = key === undefined ? undefined : privateKeyProblem(key);
  if (keyProblem !== undefined) problems.push(keyProblem);
  if (!has("COZE_API_TOKEN") && !jwt && !isStored()) {
    problems.push(isMissing("COZE_API_TOKEN"), orElse("COZE_OAUTH_CLIENT_ID"), {
      en: "… or sign in once by: coze-bridge auth login --client-id <id> (docs/setup.md)",
      zh: "… 或登录一次：coze-bridge auth login --client-id <id>（见 docs/setup.zh-CN.md）",
    });
  }
  return problems;
}

function privateKeyProblem(pem: string): Words | undefined {
  try {
    parsePrivateKey(pem);
    return undefined;
  } catch (error) {
    // A sentence of ours; it does not quote the key.
    const en = error instanceof BridgeError ? error.message : "COZE_OAUTH_PRIVATE_KEY does not fit";
    const zh =
      "COZE_OAUTH_PRIVATE_KEY 不是可用的 PEM 私钥：应为扣子为该 OAuth 应用生成的文件 private_key.pem";
    return { en, zh };
  }
}

/** Whether somebody has signed in; whether that can be opened shows at the first call. */
function isSignedIn(values: Values, readFile: (path: string) => string): boolean {
  try {
    return readFile(signInPath(toStorageConfig(values).dataDir)) !== "";
  } catch {
    return false;
  }
}

/** What is missing for a bridge that can answer somebody; what is set but bad is not missing. */
function missing({ has }: { has: (name: VariableName) => boolean }): Words[] {
  const problems: Words[] = [];
  const need = (name: VariableName, why?: Words): void => {
    if (!has(name)) problems.push(isMissing(name, why));
  };
  need("COZE_BOT_ID");
  if (has("REDIS_URL")) need("SECRET_KEY", { en: " with REDIS_URL", zh: "（使用 REDIS_URL 时必填）" });
  const slack = has("SLACK_BOT_TOKEN") || has("SLACK_APP_TOKEN") || has("SLACK_SIGNING_SECRET");
  if (slack) {
    const forSlack: Words = { en: " for Slack", zh: "（Slack 需要）" };
    need("SLACK_BOT_TOKEN", forSlack);
    if (!has("SLACK_APP_TOKEN") && !has("SLACK_SIGNING_SECRET")) {
      problems.push(isMissing("SLACK_APP_TOKEN", forSlack), orElse("SLACK_SIGNING_SECRET"));
    }
  }
  if (!slack && !has("DISCORD_BOT_TOKEN")) {
    problems.push(isMissing("DISCORD_BOT_TOKEN"), orElse("SLACK_BOT_TOKEN"));
  }
  return problems;
}

function toStorageConfig(values: Values): StorageConfig {
  return {
    dataDir: values.DATA_DIR ?? "./data",
    // A catch-up must not answer twice what it sees twice.
    dedupeMs: Math.max(DEDUPE_MS, 2 * toCatchUpWindowMs(values)),
    ...(values.REDIS_URL !== undefined && { redisUrl: values.REDIS_URL }),
  };
}

/** Slack repeats for about 6 minutes (slack.md §3.4); what is much older than this nobody waits for any more. */
const CATCH_UP_WINDOW_MS = 15 * 60_000;

function toCatchUpWindowMs(values: Values): number {
  return parseDuration(values.CATCHUP_WINDOW ?? "") ?? CATCH_UP_WINDOW_MS;
}

const PROXY_NAMES = ["HTTPS_PROXY", "NO_PROXY"] as const;

function toProxyConfig({ HTTPS_PROXY: url, NO_PROXY: except = "" }: Values): Pick<Config, "proxy"> {
  return url === undefined ? {} : { proxy: { url, except } };
}

function toBaseUrl(values: Values): string {
  return values.COZE_API_BASE ?? "https://api.coze.cn";
}

function toCozeConfig(values: Values): Config["coze"] {
  return {
    flavor: values.COZE_FLAVOR === "studio" ? "studio" : "hosted",
    signIn: toSignIn(values),
    botId: values.COZE_BOT_ID ?? "",
    baseUrl: toBaseUrl(values),
    // The free plan's (coze-api.md §14).
    chatsPerSecond: Number(values.COZE_CHATS_PER_SECOND ?? "20"),
  };
}

function toSignIn(values: Values): CozeSignIn {
  const { COZE_API_TOKEN: token, COZE_API_TOKEN_EXPIRES: end, COZE_OAUTH_CLIENT_ID: clientId } = values;
  if (token !== undefined) {
    return { kind: "token", token, ...(end !== undefined && { endsAt: Date.parse(end) }) };
  }
  if (clientId === undefined) return { kind: "stored" };
  const { COZE_OAUTH_ACCOUNT_ID: accountId, COZE_OAUTH_SESSION_NAME: sessionName } = values;
  return {
    kind: "jwt",
    clientId,
    publicKeyId: values.COZE_OAUTH_PUBLIC_KEY_ID ?? "",
    privateKey: values.COZE_OAUTH_PRIVATE_KEY ?? "",
    ...(accountId !== undefined && { accountId }),
    ...(sessionName !== undefined && { sessionName }),
  };
}

/**
 * Some 10,000 characters on Discord: what people scroll through (discord.md §2.6 rule 9), what its limit lets through at
 * once (§1.1), and, with the file, what a command may answer where the bot itself is not (§1.6: five follow-ups).
 */
const DEFAULT_REPLY_PARTS = 5;

function toConfig(values: Values): Config {
  const maxReplyParts = Number(values.MAX_REPLY_PARTS ?? DEFAULT_REPLY_PARTS);
  return {
    ...toStorageConfig(values),
    ...(values.SECRET_KEY !== undefined && { secretKey: values.SECRET_KEY }),
    coze: toCozeConfig(values),
    ...toProxyConfig(values),
    ...(values.DISCORD_BOT_TOKEN !== undefined && {
      discord: {
        token: values.DISCORD_BOT_TOKEN,
        apiUrl: values.DISCORD_API_URL ?? "https://discord.com/api",
        secondAnswer: values.DISCORD_SECOND_ANSWER === "channel" ? "channel" : "thread",
        maxReplyParts,
      },
    }),
    ...(values.SLACK_BOT_TOKEN !== undefined && {
      slack: {
        botToken: values.SLACK_BOT_TOKEN,
        ...(values.SLACK_APP_TOKEN !== undefined && { appToken: values.SLACK_APP_TOKEN }),
        ...(values.SLACK_SIGNING_SECRET !== undefined && { signingSecret: values.SLACK_SIGNING_SECRET }),
        apiUrl: `${values.SLACK_API_URL ?? "https://slack.com/api"}/`,
        channelStyle: values.SLACK_CHANNEL_STYLE === "native" ? "native" : "edit",
        maxReplyParts,
      },
    }),
    http: { host: values.HOST ?? "127.0.0.1", port: Number(values.PORT ?? "8080") },
    logLevel: LOG_LEVELS.find((level) => level === values.LOG_LEVEL) ?? "info",
    concurrency: Number(values.WORKER_CONCURRENCY ?? "200"),
    shutdownGraceMs: parseDuration(values.SHUTDOWN_GRACE ?? "") ?? 25_000,
    catchUpWindowMs: toCatchUpWindowMs(values),
    mergeBurstMs: parseDuration(values.MERGE_BURST ?? "") ?? 1_500,
    streamStyles: parseStreamStyles(values.STREAM_STYLE ?? "") ?? { usual: "live", elsewhere: new Map() },
  };
}
