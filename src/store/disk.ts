import { statfs } from "node:fs/promises";

/** What we think of a place to keep the file in. */
export interface DiskVerdict {
  readonly verdict: "fine" | "warn" | "refuse";
  /** A sentence for the operator; empty when fine. */
  readonly note: string;
}

const FINE: DiskVerdict = { verdict: "fine", note: "" };

// Magic numbers of statfs(2), linux/magic.h. WAL keeps its index in shared memory, which network file systems do
// not share; their locks may not hold either (queue.md §4).
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
]);
/** May be local or not; nobody can tell from here. */
const DOUBTFUL_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x65735546, "FUSE"],
  [0x01021997, "9p"],
]);

/** Below this, say so; a few hundred thousand waiting turns fit. */
const LOW_SPACE_BYTES = 200 * 1024 * 1024;

/** Judges a file system by the type number of `statfs`; Linux only, elsewhere nothing is known. */
export function judgeFileSystem(type: number, os: NodeJS.Platform): DiskVerdict {
  if (os !== "linux") return FINE;
  // The kernel's number is a signed long on some machines.
  const unsigned = type >>> 0;
  const network = NETWORK_FILE_SYSTEMS.get(unsigned);
  if (network !== undefined) {
    return {
      verdict: "refuse",
      note: `it is on a network file system (${network}), where SQLite can't keep its promises: use a local disk, or Redis (REDIS_URL)`,
    };
  }
  const doubtful = DOUBTFUL_FILE_SYSTEMS.get(unsigned);
  if (doubtful !== undefined) {
    return {
      verdict: "warn",
      note: `it is on ${doubtful}; if a network is behind it, turns may be lost: prefer a local disk or a volume`,
    };
  }
  return FINE;
}

/** Judges the free space of a disk, in bytes. */
export function judgeFreeSpace(freeBytes: number): DiskVerdict {
  return freeBytes < LOW_SPACE_BYTES
    ? { verdict: "warn", note: `only ${Math.floor(freeBytes / 1024 / 1024)} MiB are left on its disk` }
    : FINE;
}

/** Both judgements of a folder as it is now. */
export async function judgeDisk(
  folder: string,
): Promise<{ readonly system: DiskVerdict; readonly space: DiskVerdict }> {
  const stat = await statfs(folder);
  return {
    system: judgeFileSystem(stat.type, process.platform),
    space: judgeFreeSpace(stat.bavail * stat.bsize),
  };
}

/** Whether a dotted version is at least another one. */
export function isVersionAtLeast(version: string, minimum: string): boolean {
  const wanted = minimum.split(".").map(Number);
  const found = version.split(".").map(Number);
  for (const [index, part] of wanted.entries()) {
    const difference = (found[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
