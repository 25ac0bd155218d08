/** Small files of known kinds: only what tells the kind. */
import { deflateRawSync, gzipSync } from "node:zlib";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const padded = (start: Buffer): Buffer => Buffer.concat([start, Buffer.alloc(600)]);

/** A PNG of one pixel. */
export const PNG: Buffer = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
export const JPG: Buffer = padded(hex("ffd8ffe0 0010 4a464946 00"));
export const PDF: Buffer = Buffer.from("%PDF-1.7\n%âãÏÓ\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n");
export const CFB: Buffer = padded(hex("d0cf11e0a1b11ae1"));
export const OPUS: Buffer = padded(
  Buffer.concat([
    hex("4f67675300020000000000000000 00000000 00000000 00000000 0113"),
    Buffer.from("OpusHead"),
  ]),
);
export const GZ: Buffer = gzipSync("some text");
export const EXE: Buffer = padded(Buffer.from("MZ"));
export const DOCX: Buffer = zip({
  "[Content_Types].xml":
    '<?xml version="1.0"?><Types><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
  "word/document.xml": "<document/>",
});

/** A zip archive with these entries, without checksums. */
function zip(entries: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(entries).map(([name, text]) => {
      const data = deflateRawSync(text);
      const head = Buffer.alloc(30);
      head.writeUInt32LE(0x04034b50, 0);
      head.writeUInt16LE(20, 4);
      head.writeUInt16LE(8, 8);
      head.writeUInt32LE(data.length, 18);
      head.writeUInt32LE(Buffer.byteLength(text), 22);
      head.writeUInt16LE(Buffer.byteLength(name), 26);
      return Buffer.concat([head, Buffer.from(name), data]);
    }),
  );
}
