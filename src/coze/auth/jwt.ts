import { createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { BridgeError } from "../../core/errors.ts";

/** Reads the private key of a service app: PEM, PKCS#1 or PKCS#8. @throws {BridgeError} `CONFIG_INVALID` */
export function parsePrivateKey(pem: string): KeyObject {
  const key = readKey(pem);
  if (key.asymmetricKeyType === "rsa") return key;
  throw badKey(`is of type ${key.asymmetricKeyType ?? "unknown"}, Coze signs in by RSA`);
}

function readKey(pem: string): KeyObject {
  if (/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) throw badKey("is the public half; it belongs to Coze");
  if (/ENCRYPTED/.test(pem)) throw badKey("is protected by a password; store it without one");
  try {
    // Environment files and web consoles often keep line ends as two characters.
    return createPrivateKey(pem.replaceAll("\\n", "\n"));
  } catch {
    // The parser's own words may hold pieces of what it was given.
    throw badKey(
      "is no private key in PEM form (-----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----)",
    );
  }
}

function badKey(why: string): BridgeError {
  return new BridgeError(
    "CONFIG_INVALID",
    `COZE_OAUTH_PRIVATE_KEY ${why}. It is the file private_key.pem that Coze made for the OAuth app`,
  );
}

/** A service app of Coze's and what its JWTs say (coze-api.md §2.3). */
export interface JwtApp {
  /** Id of the OAuth app. */
  readonly clientId: string;
  /** Fingerprint of the public key that Coze has. */
  readonly publicKeyId: string;
  readonly privateKey: KeyObject;
  /** Separates conversations and files from those of other names under the same account (coze-api.md §2.2). */
  readonly sessionName?: string;
}

/** How long a JWT may be used, in s, as in Coze's own sample (coze-api.md §2.3). */
const JWT_LIFE_S = 600;
/** Coze recommends more than 32 bytes; it refuses an id that it has seen (coze-api.md §2.3). */
const JWT_ID_BYTES = 36;

/**
 * Signs a JWT for one token request; each request, repeats included, needs a new one.
 *
 * @param options - `audience`: the API's host without scheme. `now`: ms since the epoch.
 */
export function signJwt(app: JwtApp, { audience, now }: { audience: string; now: number }): string {
  const issuedAt = Math.floor(now / 1000);
  const header = { alg: "RS256", typ: "JWT", kid: app.publicKeyId };
  const payload = {
    iss: app.clientId,
    aud: audience,
    iat: issuedAt,
    exp: issuedAt + JWT_LIFE_S,
    jti: randomBytes(JWT_ID_BYTES).toString("base64url"),
    ...(app.sessionName !== undefined && { session_name: app.sessionName }),
  };
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${sign("RSA-SHA256", Buffer.from(text), app.privateKey).toString("base64url")}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
