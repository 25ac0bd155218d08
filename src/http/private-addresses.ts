import { BlockList, isIPv4 } from "node:net";

/** Networks no public file host lives in (IANA special-purpose registries). */
const PRIVATE_V4: readonly (readonly [network: string, prefix: number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

/** Benchmark range that fake-IP proxies map public names into (discord.md §5.3). */
const FAKE_V4 = ["198.18.0.0", 15] as const;

/** Only global unicast is public; of it, tunnels that carry an IPv4 address and documentation are not. */
const PRIVATE_V6: readonly (readonly [network: string, prefix: number])[] = [
  ["::", 3],
  ["4000::", 2],
  ["8000::", 1],
  ["2001::", 32],
  ["2001:db8::", 32],
  ["2002::", 16],
];

/** The well-known prefix of NAT64: the last 32 bits are an IPv4 address. */
const NAT64 = new BlockList();
NAT64.addSubnet("64:ff9b::", 96, "ipv6");

/**
 * Says which resolved addresses a download must not connect to.
 *
 * @param allowFakeIps - The machine's proxy maps public names into 198.18.0.0/15.
 */
export function createAddressGuard({
  allowFakeIps,
}: {
  allowFakeIps: boolean;
}): (address: string) => boolean {
  // Two lists: in one, `::/3` would cover every IPv4 address in its mapped form.
  const blocked4 = new BlockList();
  const blocked6 = new BlockList();
  for (const [network, prefix] of PRIVATE_V4) blocked4.addSubnet(network, prefix, "ipv4");
  if (!allowFakeIps) blocked4.addSubnet(...FAKE_V4, "ipv4");
  for (const [network, prefix] of PRIVATE_V6) blocked6.addSubnet(network, prefix, "ipv6");
  return (address) => {
    if (isIPv4(address)) return blocked4.check(address, "ipv4");
    const embedded = embeddedV4(address);
    return embedded === undefined ? blocked6.check(address, "ipv6") : blocked4.check(embedded, "ipv4");
  };
}

/** The IPv4 address inside a mapped (`::ffff:a.b.c.d`) or NAT64 one. */
function embeddedV4(address: string): string | undefined {
  // The URL parser writes any spelling of an IPv6 address in its one short form.
  const short = URL.canParse(`http://[${address}]/`)
    ? new URL(`http://[${address}]/`).hostname.slice(1, -1)
    : address;
  const isMapped = short.startsWith("::ffff:");
  if (!isMapped && !NAT64.check(short, "ipv6")) return undefined;
  const [low = "0", high = "0"] = short.split(":").toReversed();
  const bits =
    (Number.parseInt(high === "" ? "0" : high, 16) * 65_536 + Number.parseInt(low === "" ? "0" : low, 16)) >>>
    0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}
