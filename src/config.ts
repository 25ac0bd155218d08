import { join } from "node:path";
import { z } from "zod";
import type { DiscordSettings } from "../adapters/discord/settings.ts";
import type { SlackSettings } from "../adapters/slack/settings.ts";
import { BridgeError } from "./core/errors.ts";
import { parsePrivateKey } from "./coze/auth/jwt.ts";
import { FLAVOR_NAMES, type FlavorName } from "./coze/flavor.ts";
import { MAX_DURATION_MS, parseDuration } from "./duration.ts";
import { parseStreamStyles, type StreamStyles } from "./stream-style.ts";

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
}

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

interface Variable {
  readonly aliases?: readonly string[];
  /** Also readable from the file that `<NAME>_FILE` names; never printed. */
  readonly secret?: boolean;
  readonly schema: z.ZodType<string>;
  /** Where the operator finds it, or what it may hold. */
  readonly help: string;
}

/** Whatever its host, plain http too. */
const anyUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => URL.canParse(text) && isPlain(new URL(text)))
  .transform((text) => text.replace(/\/+$/, ""));

/** A password would be shown with the address; a question or a mark would swallow the paths that are added. */
function isPlain({ username, password, href }: URL): boolean {
  return username === "" && password === "" && !/[?#]/.test(href);
}

/** Loopback may be plain http: that is where stand-ins and proxies of one's own live. */
const httpUrl = anyUrl.refine((text) => isSafe(new URL(text)));

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

function duration(maxMs: number): z.ZodType<string> {
  return z.string().refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= maxMs);
}

/** Shorter keys can be guessed. */
const MIN_SECRET_KEY_CHARACTERS = 32;

const COZE_TOKEN_HELP =
  "Coze: API & SDK > Authorization > Personal access token, with the permissions for chat, conversations, messages and files";

/** What can stand in a header: anything else, such as “quotes”, would fail at each call, in words about the connection. */
const token = z.string().regex(/^[\x21-\x7e]+$/);

/** Every variable there is, in the order of `.env.example`. */
export const VARIABLE_NAMES = [
  "COZE_API_TOKEN",
  "COZE_API_TOKEN_EXPIRES",
  "COZE_OAUTH_CLIENT_ID",
  "COZE_OAUTH_PUBLIC_KEY_ID",
  "COZE_OAUTH_PRIVATE_KEY",
  "COZE_OAUTH_ACCOUNT_ID",
  "COZE_OAUTH_SESSION_NAME",
  "COZE_BOT_ID",
  "COZE_API_BASE",
  "COZE_FLAVOR",
  "COZE_CHATS_PER_SECOND",
  "DISCORD_BOT_TOKEN",
  "DISCORD_API_URL",
  "DISCORD_SECOND_ANSWER",
  "SLACK_BOT_TOKEN",
  "SLACK_APP_TOKEN",
  "SLACK_SIGNING_SECRET",
  "SLACK_API_URL",
  "SLACK_CHANNEL_STYLE",
  "HOST",
  "PORT",
  "DATA_DIR",
  "REDIS_URL",
  "SECRET_KEY",
  "LOG_LEVEL",
  "WORKER_CONCURRENCY",
  "SHUTDOWN_GRACE",
  "CATCHUP_WINDOW",
  "MERGE_BURST",
  "STREAM_STYLE",
  "MAX_REPLY_PARTS",
] as const;

type Name = (typeof VARIABLE_NAMES)[number];

const VARIABLES: Readonly<Record<Name, Variable>> = {
  COZE_API_TOKEN: {
    aliases: ["coze_api_token"],
    secret: true,
    schema: token,
    help: COZE_TOKEN_HELP,
  },
  COZE_API_TOKEN_EXPIRES: {
    schema: z.union([z.iso.date(), z.iso.datetime({ offset: true })]),
    help: "the day that COZE_API_TOKEN ends, as Coze showed it when the token was made, e.g. 2026-12-20",
  },
  COZE_OAUTH_CLIENT_ID: {
    schema: z.string(),
    help: "Coze: API & SDK > Authorization > OAuth apps: the id of an app of the type service (JWT)",
  },
  COZE_OAUTH_PUBLIC_KEY_ID: {
    schema: z.string(),
    help: "the fingerprint of the public key, shown at the OAuth app",
  },
  COZE_OAUTH_PRIVATE_KEY: {
    secret: true,
    schema: z.string(),
    help: "the text of private_key.pem, which was downloaded when the key was made; better COZE_OAUTH_PRIVATE_KEY_FILE with its path",
  },
  COZE_OAUTH_ACCOUNT_ID: {
    schema: z.string().regex(/^\d+$/),
    help: "the number of the organisation, only for an app of an enterprise plan's organisation",
  },
  COZE_OAUTH_SESSION_NAME: {
    schema: z.string().max(100),
    help: "at most 100 characters; conversations and files of one name are not seen by another",
  },
  COZE_BOT_ID: {
    schema: z.string().regex(/^\d+$/),
    help: "the long number at the end of the bot's address on coze.cn or coze.com: …/bot/<number>",
  },
  COZE_API_BASE: {
    aliases: ["COZE_BASE_URL", "COZE_CN_BASE_URL"],
    // Of a studio in a network of one's own, plain http is no mistake: see cozeProblems.
    schema: anyUrl,
    help: "https://api.coze.cn or https://api.coze.com, where the token was made; the server's own with COZE_FLAVOR=studio",
  },
  COZE_FLAVOR: {
    schema: z.enum(FLAVOR_NAMES),
    help: "hosted (coze.cn and coze.com, the default) or studio (a Coze Studio of your own)",
  },
  COZE_CHATS_PER_SECOND: {
    schema: z.string().regex(/^([1-9]\d{0,2}|1000)$/),
    help: "1 to 1000 chats begun in a second, what the plan at Coze allows; 20 by default, as the free plan",
  },
  DISCORD_BOT_TOKEN: {
    aliases: ["DISCORD_TOKEN"],
    secret: true,
    schema: token,
    help: "Discord developer portal: your application > Bot > Reset Token",
  },
  DISCORD_API_URL: { schema: httpUrl, help: "an https address; leave it out for Discord itself" },
  SLACK_BOT_TOKEN: {
    secret: true,
    schema: token.refine((text) => !text.startsWith("xapp-")),
    help: "Slack: your app > OAuth & Permissions > Bot User OAuth Token, begins with xoxb",
  },
  SLACK_APP_TOKEN: {
    secret: true,
    schema: token.refine((text) => !text.startsWith("xoxb-")),
    help: "Slack: your app > Basic Information > App-Level Tokens (connections:write), begins with xapp; for Socket Mode",
  },
  SLACK_SIGNING_SECRET: {
    secret: true,
    schema: token,
    help: "Slack: your app > Basic Information > Signing Secret; for HTTP mode instead of SLACK_APP_TOKEN",
  },
  SLACK_API_URL: { schema: httpUrl, help: "an https address; leave it out for Slack itself" },
  DISCORD_SECOND_ANSWER: {
    schema: z.enum(["thread", "channel"]),
    help: "thread (an answer goes into a thread while another one grows in the channel) or channel",
  },
  SLACK_CHANNEL_STYLE: {
    schema: z.enum(["edit", "native"]),
    help: "edit (everybody sees the answer grow) or native (Slack's own stream, live for the asker only)",
  },
  HOST: { schema: z.string(), help: "the address to listen on, 127.0.0.1 by default" },
  PORT: {
    schema: z
      .string()
      .regex(/^\d{1,5}$/)
      .refine((text) => Number(text) <= 65_535),
    help: "0 to 65535",
  },
  DATA_DIR: {
    // Only a shell knows whose home that is; here it would be a folder of that name.
    schema: z.string().regex(/^[^~～]/),
    help: "a folder on a local disk, its path written out, without ~",
  },
  REDIS_URL: {
    // It may hold a password.
    secret: true,
    schema: z.url({ protocol: /^rediss?$/ }).refine((text) => URL.parse(text)?.hostname !== ""),
    help: "redis://user:password@host:6379, or rediss:// for TLS; leave it out to keep the queue in DATA_DIR",
  },
  SECRET_KEY: {
    secret: true,
    schema: z.string().min(MIN_SECRET_KEY_CHARACTERS),
    help: `at least ${MIN_SECRET_KEY_CHARACTERS} random characters, the same for all processes, e.g. from: openssl rand -base64 32`,
  },
  LOG_LEVEL: { schema: z.enum(LOG_LEVELS), help: LOG_LEVELS.join(", ") },
  WORKER_CONCURRENCY: {
    schema: z.string().regex(/^[1-9]\d{0,3}$/),
    help: "1 to 9999 answers at once, 200 by default",
  },
  SHUTDOWN_GRACE: {
    schema: duration(MAX_DURATION_MS),
    help: "a time with its unit, e.g. 25s (default); 0 leaves running answers to the next start at once",
  },
  CATCHUP_WINDOW: {
    schema: duration(MAX_DURATION_MS),
    help: "a time with its unit up to 168h, e.g. 15m (default); 0 looks for nothing",
  },
  MERGE_BURST: {
    schema: duration(60_000),
    help: "a time with its unit up to 1m, e.g. 1500ms (default); 0 answers each message for itself",
  },
  STREAM_STYLE: {
    schema: z.string().refine((text) => parseStreamStyles(text) !== undefined),
    help:
      "live (the answer grows while Coze writes it) or final (it appears when it is complete), then what differs, " +
      "e.g. live slack=final C024BE91L=live",
  },
  MAX_REPLY_PARTS: {
    schema: z.string().regex(/^(?:[1-9]|1\d|20)$/),
    help: "1 to 20 messages, 5 by default; a longer answer ends as a file",
  },
};

/**
 * Reads only where queue and store are: what a command needs that answers nobody.
 *
 * @throws {BridgeError} `CONFIG_INVALID`, as {@link loadConfig} does.
 */
export function loadStorageConfig(env: Environment, readFile: (path: string) => string): StorageConfig {
  const { values, problems } = readVariables(env, readFile, ["DATA_DIR", "REDIS_URL"]);
  demandNone(problems);
  return toStorageConfig(values);
}

/** What a command needs that talks to Coze and serves no platform. */
export type CozeConfig = Pick<Config, "coze" | "dataDir" | "secretKey">;

/**
 * Reads only how to reach Coze.
 *
 * @returns `botId` is empty when none is set.
 * @throws {BridgeError} `CONFIG_INVALID`, as {@link loadConfig} does.
 */
export function loadCozeConfig(env: Environment, readFile: (path: string) => string): CozeConfig {
  const names = VARIABLE_NAMES.filter((name) => name.startsWith("COZE_"));
  const { values, problems, spoiled } = readVariables(env, readFile, [...names, "DATA_DIR", "SECRET_KEY"]);
  const has = (name: Name): boolean => values[name] !== undefined || spoiled.has(name);
  problems.push(...cozeProblems(values, has, readFile));
  demandNone(problems);
  const { dataDir } = toStorageConfig(values);
  return {
    dataDir,
    coze: toCozeConfig(values),
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
): { readonly baseUrl: string; readonly dataDir: string; readonly secretKey?: string } {
  const names = ["COZE_API_BASE", "COZE_FLAVOR", "DATA_DIR", "SECRET_KEY"] as const;
  const { values, problems } = readVariables(env, readFile, names);
  problems.push(...hostedProblems(values));
  if (values.COZE_FLAVOR === "studio") {
    problems.push(
      "COZE_FLAVOR is studio, and nobody signs in to a Coze Studio here: set COZE_API_TOKEN instead",
    );
  }
  demandNone(problems);
  return {
    baseUrl: toBaseUrl(values),
    dataDir: toStorageConfig(values).dataDir,
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
  const has = (name: Name): boolean => values[name] !== undefined || spoiled.has(name);
  problems.push(...cozeProblems(values, has, readFile), ...missing({ has }));
  demandNone(problems);
  return toConfig(values);
}

function demandNone(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `  - ${problem}`).join("\n");
  throw new BridgeError("CONFIG_INVALID", `The configuration is not complete:\n${list}`);
}

/** Which of the three services have credentials; decides between bridge and sandbox. */
export function configuredServices(env: Environment): { coze: boolean; platforms: boolean } {
  const has = (name: Name): boolean => spellings(name).some((spelling) => isSet(env, spelling));
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
}: Pick<Config, "coze"> & Partial<Config>): readonly string[] {
  const tokens = [
    ...signInSecrets(coze.signIn),
    discord?.token,
    slack?.botToken,
    slack?.appToken,
    slack?.signingSecret,
  ];
  const secrets = [...tokens, secretKey, ...(redisUrl === undefined ? [] : passwordsOf(redisUrl))];
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

type Values = Partial<Record<Name, string>>;

/** @returns `spoiled`: what is set, but to nothing that can be used; the problems tell why. */
function readVariables(
  env: Environment,
  readFile: (path: string) => string,
  names: readonly Name[] = VARIABLE_NAMES,
): { values: Values; problems: string[]; spoiled: ReadonlySet<Name> } {
  const values: Values = {};
  const problems: string[] = [];
  const spoiled = new Set<Name>();
  const spoil = (name: Name, problem: string): void => {
    problems.push(problem);
    spoiled.add(name);
  };
  for (const name of names) {
    const found = findValue(name, env, readFile);
    if ("problem" in found) spoil(name, found.problem);
    else if (found.value !== undefined) {
      const parsed = VARIABLES[name].schema.safeParse(found.value);
      if (parsed.success) values[name] = parsed.data;
      else spoil(name, `${found.spelling} does not fit: ${VARIABLES[name].help}`);
    }
  }
  return { values, problems, spoiled };
}

type Found = { value: string | undefined; spelling: string } | { problem: string };

/** A variable under any of its names; two names with different values are a mistake we do not decide. */
function findValue(name: Name, env: Environment, readFile: (path: string) => string): Found {
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
        return { problem: `${spelling} names a file that cannot be read` };
      }
    }
  }
  const [first, ...others] = found;
  if (first === undefined) return { value: undefined, spelling: name };
  if (first.value === "") return { problem: `${first.spelling} names an empty file` };
  const other = others.find(({ value }) => value !== first.value);
  if (other !== undefined)
    return { problem: `${first.spelling} and ${other.spelling} differ; set one of them` };
  return first;
}

/** All the names that a variable goes by. */
export function spellings(name: Name): readonly string[] {
  const { aliases = [], secret = false } = VARIABLES[name];
  const names = [name, ...aliases];
  return secret ? [...names, ...names.map((each) => `${each}_FILE`)] : names;
}

function isSet(env: Environment, spelling: string): boolean {
  return (env[spelling]?.trim() ?? "") !== "";
}

/** What an OAuth service app cannot do without; one of them set means that it shall be used. */
const JWT_NAMES = ["COZE_OAUTH_CLIENT_ID", "COZE_OAUTH_PUBLIC_KEY_ID", "COZE_OAUTH_PRIVATE_KEY"] as const;
const JWT_OPTIONS = ["COZE_OAUTH_ACCOUNT_ID", "COZE_OAUTH_SESSION_NAME"] as const;

function cozeProblems(
  values: Values,
  has: (name: Name) => boolean,
  readFile: (path: string) => string,
): string[] {
  if (values.COZE_FLAVOR === "studio") return studioProblems(values, has);
  return [...hostedProblems(values), ...signInProblems(values, has, () => isSignedIn(values, readFile))];
}

/** Tokens of the hosted service travel by TLS alone. */
function hostedProblems({ COZE_API_BASE: base, COZE_FLAVOR: flavor }: Values): string[] {
  const isPlain = flavor !== "studio" && base !== undefined && !isSafe(new URL(base));
  return isPlain ? [`COZE_API_BASE does not fit: ${VARIABLES.COZE_API_BASE.help}`] : [];
}

/** A server of one's own has an address that nobody can guess, and knows personal access tokens only (coze-api.md §18). */
function studioProblems({ COZE_API_BASE: base }: Values, has: (name: Name) => boolean): string[] {
  const problems: string[] = [];
  const example = "your server's address, e.g. http://10.0.0.5:8888";
  if (!has("COZE_API_BASE")) problems.push(`COZE_API_BASE is missing with COZE_FLAVOR=studio: ${example}`);
  if (base !== undefined && isHosted(base)) {
    problems.push(
      `COZE_API_BASE is the hosted service, but COZE_FLAVOR is studio: set ${example}, or remove COZE_FLAVOR`,
    );
  }
  if (!has("COZE_API_TOKEN")) {
    problems.push("COZE_API_TOKEN is missing: your Coze Studio makes one where it offers API tokens");
  }
  for (const name of [...JWT_NAMES, ...JWT_OPTIONS].filter(has)) {
    problems.push(`${name} is set, but a Coze Studio has no OAuth apps: remove it, and set COZE_API_TOKEN`);
  }
  return problems;
}

function isHosted(baseUrl: string): boolean {
  return /(^|\.)coze\.(cn|com)$/.test(new URL(baseUrl).hostname);
}

/** Exactly one way to sign in to Coze. */
function signInProblems(values: Values, has: (name: Name) => boolean, isStored: () => boolean): string[] {
  const problems: string[] = [];
  const jwt = JWT_NAMES.some(has);
  if (has("COZE_API_TOKEN") && jwt) {
    problems.push("COZE_API_TOKEN and COZE_OAUTH_… are two ways to sign in to Coze: set one of them");
  }
  if (has("COZE_API_TOKEN_EXPIRES") && !has("COZE_API_TOKEN")) {
    problems.push(
      "COZE_API_TOKEN_EXPIRES is set without COZE_API_TOKEN: nothing else has an end that can be told",
    );
  }
  for (const name of jwt ? JWT_NAMES : []) {
    if (!has(name)) problems.push(`${name} is missing for the OAuth app: ${VARIABLES[name].help}`);
  }
  for (const name of jwt ? [] : JWT_OPTIONS.filter(has)) {
    problems.push(`${name} is set without COZE_OAUTH_CLIENT_ID: ${VARIABLES.COZE_OAUTH_CLIENT_ID.help}`);
  }
  const key = values.COZE_OAUTH_PRIVATE_KEY;
  const keyProblem = key === undefined ? undefined : privateKeyProblem(key);
  if (keyProblem !== undefined) problems.push(keyProblem);
  if (!has("COZE_API_TOKEN") && !jwt && !isStored()) {
    problems.push(
      `COZE_API_TOKEN is missing: ${VARIABLES.COZE_API_TOKEN.help}`,
      `… or COZE_OAUTH_CLIENT_ID: ${VARIABLES.COZE_OAUTH_CLIENT_ID.help}`,
      "… or sign in once by: coze-bridge auth login --client-id <id> (docs/setup.md)",
    );
  }
  return problems;
}

function privateKeyProblem(pem: string): string | undefined {
  try {
    parsePrivateKey(pem);
    return undefined;
  } catch (error) {
    // A sentence of ours; it does not quote the key.
    return error instanceof BridgeError ? error.message : "COZE_OAUTH_PRIVATE_KEY does not fit";
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
function missing({ has }: { has: (name: Name) => boolean }): string[] {
  const problems: string[] = [];
  const need = (name: Name, why = ""): void => {
    if (!has(name)) problems.push(`${name} is missing${why}: ${VARIABLES[name].help}`);
  };
  need("COZE_BOT_ID");
  if (has("REDIS_URL")) need("SECRET_KEY", " with REDIS_URL");
  const slack = has("SLACK_BOT_TOKEN") || has("SLACK_APP_TOKEN") || has("SLACK_SIGNING_SECRET");
  if (slack) {
    need("SLACK_BOT_TOKEN", " for Slack");
    if (!has("SLACK_APP_TOKEN") && !has("SLACK_SIGNING_SECRET")) {
      problems.push(`SLACK_APP_TOKEN is missing for Slack: ${VARIABLES.SLACK_APP_TOKEN.help}`);
      problems.push(`… or SLACK_SIGNING_SECRET: ${VARIABLES.SLACK_SIGNING_SECRET.help}`);
    }
  }
  if (!slack && !has("DISCORD_BOT_TOKEN")) {
    problems.push(`DISCORD_BOT_TOKEN is missing: ${VARIABLES.DISCORD_BOT_TOKEN.help}`);
    problems.push(`… or SLACK_BOT_TOKEN: ${VARIABLES.SLACK_BOT_TOKEN.help}`);
  }
  return problems;
}

function toStorageConfig(values: Values): StorageConfig {
  return {
    dataDir: values.DATA_DIR ?? "./data",
    ...(values.REDIS_URL !== undefined && { redisUrl: values.REDIS_URL }),
  };
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
    // Slack repeats for about 6 minutes (slack.md §3.4); what is much older than this nobody waits for any more.
    catchUpWindowMs: parseDuration(values.CATCHUP_WINDOW ?? "") ?? 15 * 60_000,
    mergeBurstMs: parseDuration(values.MERGE_BURST ?? "") ?? 1_500,
    streamStyles: parseStreamStyles(values.STREAM_STYLE ?? "") ?? { usual: "live", elsewhere: new Map() },
  };
}
