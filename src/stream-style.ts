import type { Turn } from "./core/turn.ts";

/** `live`: the answer grows while Coze writes it; `final`: it appears when it is complete. */
export type StreamStyle = "live" | "final";

/** A style for all, and others for platforms or places, by `discord`, `slack` or the id of a channel, DM or server. */
export interface StreamStyles {
  readonly usual: StreamStyle;
  readonly elsewhere: ReadonlyMap<string, StreamStyle>;
}

const EXCEPTION = /^(discord|slack|\d{15,20}|[A-Z][A-Z0-9]{5,20})=(live|final)$/;

/** Reads e.g. `live`, or `live slack=final 1234567890123456789=live`; `undefined` when it is none. */
export function parseStreamStyles(text: string): StreamStyles | undefined {
  const [usual, ...exceptions] = text.trim().split(/[\s,]+/);
  if (usual !== "live" && usual !== "final") return undefined;
  const elsewhere = new Map<string, StreamStyle>();
  for (const exception of exceptions) {
    const [, where, style] = EXCEPTION.exec(exception) ?? [];
    if (where === undefined || (style !== "live" && style !== "final")) return undefined;
    elsewhere.set(where, style);
  }
  return { usual, elsewhere };
}

/** The style where a turn was asked: that of the narrowest place which is named. */
export function styleOf(
  { usual, elsewhere }: StreamStyles,
  { conversation }: Pick<Turn, "conversation">,
): StreamStyle {
  // Platform, installation, place, …: from wide to narrow (design.md §5).
  const named = conversation.split(":").findLast((part) => elsewhere.has(part));
  return (named === undefined ? undefined : elsewhere.get(named)) ?? usual;
}
