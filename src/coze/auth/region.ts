/** Coze's two worlds: separate accounts, tokens, bots and conversations (coze-api.md §17). */
export type Region = "cn" | "com";

const HOSTS: Readonly<Record<string, Region>> = { "api.coze.cn": "cn", "api.coze.com": "com" };

/** @returns `undefined` for a proxy, a server of one's own, or a stand-in. */
export function regionOf(baseUrl: string): Region | undefined {
  return HOSTS[URL.parse(baseUrl)?.hostname ?? ""];
}

/** What the operator may have mixed up when Coze does not know a token; empty where there are no regions. */
export function regionHint(baseUrl: string): string {
  const region = regionOf(baseUrl);
  if (region === undefined) return "";
  const other = region === "cn" ? "com" : "cn";
  return (
    `Tokens and apps belong to one region, and this is coze.${region}: if yours were made on coze.${other}, ` +
    `set COZE_API_BASE=https://api.coze.${other}`
  );
}
