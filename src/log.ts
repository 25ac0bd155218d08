import { pino } from "pino";
import type { Log } from "./core/ports.ts";

/** Fields that never reach a log line, wherever in an object they stand up to three levels down. */
const SECRET_FIELDS = [
  "token",
  "authorization",
  "Authorization",
  "botToken",
  "appToken",
  "signingSecret",
  "accessToken",
  "refreshToken",
  "clientSecret",
  "privateKey",
  "response_url",
  "responseUrl",
  "requestBody",
  "url",
];
const LEVELS_DEEP = ["", "*.", "*.*.", "*.*.*."];

/** Shapes of secrets that may stand inside texts, e.g. an SDK error's message. */
const SECRET_SHAPES: readonly RegExp[] = [
  /\b(?:xox[a-z]|xapp|xoxe)[-.][\w.-]+/g,
  /\b(?:pat|sat|czs|czu)_\w{8,}/g,
  // Signed JWTs: two parts that begin like JSON objects do in base64, and a signature.
  /\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g,
  /(\/(?:webhooks|interactions)\/\d+\/)[^/\s"]+/g,
  /(hooks\.slack\.com\/)[^\s"]+/g,
  /(Bearer\s+|Bot\s+)[\w.~+/=-]{8,}/g,
];

export interface LogOptions {
  readonly level: string;
  /** Secrets of this process, hidden by value wherever they turn up. */
  readonly secrets: readonly string[];
  /** Where lines go; stderr by default, since stdout belongs to what people asked for. */
  readonly write?: (line: string) => void;
}

/** The root logger: JSON lines, secrets taken out by field name, by value and by shape. */
export function createLog({ level, secrets, write }: LogOptions): Log {
  const sink = write ?? ((line: string) => void process.stderr.write(line));
  const values = secrets.filter((secret) => secret.length >= 6);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: LEVELS_DEEP.flatMap((level) => SECRET_FIELDS.map((field) => `${level}${field}`)),
        censor: "[hidden]",
      },
    },
    { write: (line: string) => sink(hideSecrets(line, values)) },
  );
}

/** Takes secrets out of a text: the given values, and whatever looks like a token of one of the services. */
export function hideSecrets(text: string, values: readonly string[]): string {
  let hidden = text;
  for (const value of values) hidden = hidden.replaceAll(value, "[hidden]");
  for (const shape of SECRET_SHAPES) hidden = hidden.replace(shape, (_all, kept) => keep(kept));
  return hidden;
}

function keep(kept: unknown): string {
  return `${typeof kept === "string" ? kept : ""}[hidden]`;
}
