import { isRefusal, type Refusal, refuse } from "./rules.ts";

/** Accepted extensions by family (coze-api.md §10). */
const ACCEPTED: ReadonlySet<string> = new Set(
  (
    "doc docx xls xlsx ppt pptx pdf numbers csv cpp py java c jpg jpeg jpg2 jp2 png gif webp heic heif bmp pcd tiff tif " +
    "wav mp3 flac m4a aac ogg wma midi mid mp4 avi mov 3gp 3gpp flv webm wmv rmvb m4v mkv rar zip 7z gz gzip bz2"
  ).split(" "),
);
const TEXTS: ReadonlySet<string> = new Set(["txt", "md", "json", "html", "ts", "js"]);

/** First bytes of a family, hex, and the extensions they may carry; our own table, independent of the client's. */
const SIGNATURES: readonly (readonly [start: string, extensions: string])[] = [
  ["89504e47", "png"],
  ["ffd8ff", "jpg jpeg"],
  ["47494638", "gif"],
  ["424d", "bmp"],
  ["49492a00", "tiff tif"],
  ["4d4d002a", "tiff tif"],
  ["25504446", "pdf"],
  ["504b0304", "docx xlsx pptx numbers zip"],
  ["d0cf11e0a1b11ae1", "doc xls ppt"],
  ["526172211a07", "rar"],
  ["377abcaf271c", "7z"],
  ["1f8b", "gz gzip"],
  ["425a68", "bz2"],
  ["4f676753", "ogg"],
  ["664c6143", "flac"],
  ["494433", "mp3"],
  ["1a45dfa3", "webm mkv"],
  ["464c5601", "flv"],
  ["4d546864", "midi mid"],
];

/** An uploaded file. */
export interface UploadPart {
  readonly field: string;
  readonly name: string;
  /** Its first bytes. */
  readonly head: Uint8Array;
  /** In bytes. */
  readonly size: number;
}

/** The rules of `POST /v1/files/upload`; the one accepted file, or a refusal. */
export function checkUpload(
  parts: readonly UploadPart[],
  { textFilesAccepted, maxBytes }: { textFilesAccepted: boolean; maxBytes: number },
): UploadPart | Refusal {
  const part = checkOnePart(parts, maxBytes);
  if (isRefusal(part)) return part;
  const extension = extensionOf(part);
  const isText = textFilesAccepted && TEXTS.has(extension);
  if (!ACCEPTED.has(extension) && !isText) return refuse(4303, "files of this type are not supported");
  if (!matches(part.head, extension)) return refuse(4000, "file content or filename is invalid");
  return part;
}

/** The one part named `file`, neither empty nor too large. */
export function checkOnePart(parts: readonly UploadPart[], maxBytes: number): UploadPart | Refusal {
  const [part, ...others] = parts.filter(({ field }) => field === "file");
  if (part === undefined) return refuse(4300, "no file");
  if (others.length > 0) return refuse(4301, "more than one file");
  if (part.size === 0) return refuse(4300, "the file is empty");
  return part.size > maxBytes ? refuse(4302, "the file is too large") : part;
}

/** In small letters; empty when there is none. */
export function extensionOf({ name }: UploadPart): string {
  return /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

/** A known start must carry one of its extensions, and such an extension must have a known start. */
function matches(bytes: Uint8Array, extension: string): boolean {
  const start = Buffer.from(bytes.subarray(0, 12)).toString("hex");
  const family = SIGNATURES.find(([signature]) => start.startsWith(signature));
  if (family !== undefined) return family[1].split(" ").includes(extension);
  return (
    !SIGNATURES.some(([, extensions]) => extensions.split(" ").includes(extension)) ||
    isFramed(start, extension)
  );
}

/** Starts that are not fixed: MPEG frames, and `RIFF….WEBP` / `….ftyp` families, whose bytes we do not look into. */
function isFramed(start: string, extension: string): boolean {
  return extension === "mp3" && /^fff[23ab]/.test(start);
}
