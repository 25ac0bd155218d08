import { crc32, deflateSync } from "node:zlib";

const SIZE = 64;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A small PNG: a sunset, so that a scene has a picture to ask about. */
export function samplePicture(): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIZE, 0);
  header.writeUInt32BE(SIZE, 4);
  header.set([8, 2], 8); // 8 bits per channel, RGB
  const rows = Array.from({ length: SIZE }, (_, y) => [0, ...pixelsOf(y)]);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.from(rows.flat()))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function pixelsOf(y: number): number[] {
  return Array.from({ length: SIZE }, (_, x) => {
    const sun = (x - 32) ** 2 + (y - 36) ** 2 < 120;
    if (sun) return [255, 210, 90];
    return y > 40 ? [20, 60 + y, 120] : [250 - y * 2, 110 + y, 80 + y * 2];
  }).flat();
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
