import type { IncomingTurn, Turn } from "../src/core/turn.ts";

/** A valid turn; a test mentions only what it is about. */
export function aTurn(changes: Partial<Turn> = {}): Turn {
  return {
    v: 1,
    id: "discord:100000000000000001:300000000000000001:900000000000000001#r0",
    reference: "K7Q2FM",
    platform: "discord",
    installation: "100000000000000001",
    conversation: "discord:100000000000000001:300000000000000001:500000000000000001",
    asker: { key: "discord:100000000000000001:500000000000000001", name: "Ada" },
    text: "Hello",
    attachments: [],
    locale: "en",
    sentAt: 1_767_225_600_000,
    route: { botId: "7380000000000000009" },
    address: null,
    ...changes,
  };
}

/** A valid turn as an adapter hands it in. */
export function anIncomingTurn(changes: Partial<IncomingTurn> = {}): IncomingTurn {
  const { v: _v, reference: _reference, route: _route, ...turn } = aTurn();
  return {
    ...turn,
    dedupeKey: "discord:100000000000000001:300000000000000001:900000000000000001",
    ...changes,
  };
}
