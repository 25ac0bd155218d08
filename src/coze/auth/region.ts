/** Coze's two worlds: separate accounts, tokens, bots and conversations (coze-api.md §17). */
export type Region = "cn" | "com";

const HOSTS: Readonly<Record<string, Region>> = { "api.coze.cn": "cn", "api.coze.com": "com" };

/** @returns `undefined` for a proxy, a server of one's own, or a stand-in. */
export function regionOf(baseUrl: string): Region | undefined {
  return HOSTS[URL.parse(baseUrl)?.hostname ?? ""];
}

/** The API of the other region; `undefined` where there are no regions. */
export function otherRegionOf(baseUrl: string): string | undefined {
  const region = regionOf(baseUrl);
  return region === undefined ? undefined : `https://api.coze.${region === "cn" ? "com" : "cn"}`;
}

/** What the operator may have mixed up when Coze does not know a token; empty where there are no regions. */
export function regionHint(baseUrl: string): string {
  const other = otherRegionOf(baseUrl);
  if (other === undefined) return "";
  const site = (api: string): string => new URL(api).hostname.replace("api.", "");
  return (
    `Tokens and apps belong to one region, and this is ${site(baseUrl)}: if yours were made on ${site(other)}, ` +
    `set COZE_API_BASE=${other}`
  );
}
