import type { ChatRun } from "./chat-run.ts";
import { type Fields, type Refusal, refuse } from "./rules.ts";
import type { Framing, PlainEvent } from "./sse-bytes.ts";
import type { UploadPart } from "./upload-rules.ts";

/** What is sent in place of an event of a run. */
export type EventTranslator = (event: PlainEvent) => readonly PlainEvent[];

/** What a call comes to. */
export type Outcome =
  /** JSON, in the envelope (coze-api.md §1.3). */
  | { readonly body: object }
  /** JSON without an envelope: signing in (coze-api.md §2.6). */
  | { readonly bare: object; readonly status: number }
  /** The browser goes on there. */
  | { readonly location: string }
  | { readonly bytes: Uint8Array; readonly contentType: string }
  | { readonly events: AsyncIterable<PlainEvent>; readonly framing?: Framing }
  /** A chat whose events are to be streamed; it goes on without its reader. */
  | { readonly run: ChatRun; readonly framing?: Framing; readonly translate?: EventTranslator }
  /** Workflows tell where their failure can be looked at. */
  | (Refusal & { readonly debug_url?: string });

/** A request, as the services behind the wire see it. */
export interface RouteRequest {
  /** Parts of the path, by the names in {@link Route.path}. */
  readonly params: Readonly<Record<string, string>>;
  /** Empty when absent. */
  query(name: string): string;
  /** The body's JSON object; an empty body is an empty one, `undefined` what is none. */
  json(): Fields | undefined;
  /** The files of a multipart body. */
  parts(): readonly UploadPart[] | Refusal;
  /** What stands after `Bearer`; empty when absent. */
  readonly bearer: string;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With parameters, e.g. `/v1/bots/:bot_id`. */
  readonly path: string;
  /** Exists only while this holds; default always. */
  readonly when?: () => boolean;
  /** Needs no token. */
  readonly open?: boolean;
  /** Takes a form with a file. */
  readonly upload?: boolean;
  /** Largest body, in bytes, if it is not what most calls take. */
  readonly maxBytes?: number;
  handle(request: RouteRequest): Outcome | Promise<Outcome>;
}

/** A handler of a JSON body; anything else is refused. */
export function withBody(
  use: (fields: Fields, request: RouteRequest) => Outcome | Promise<Outcome>,
): Route["handle"] {
  return (request) => {
    const fields = request.json();
    return fields === undefined ? refuse(4000, "the body is no JSON object") : use(fields, request);
  };
}

export type Match =
  | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
  /** The path exists, for other methods. */
  | "other method"
  | undefined;

/** Finds the route of a request. Paths with fewer parameters stand first. */
export function matchRoute(routes: readonly Route[], method: string, pathname: string): Match {
  const fitting = routes.flatMap((route) => {
    const params = matchPath(route.path, pathname);
    return params === undefined || route.when?.() === false ? [] : [{ route, params }];
  });
  const match = fitting.find(({ route }) => route.method === method);
  return match ?? (fitting.length > 0 ? "other method" : undefined);
}

function matchPath(path: string, pathname: string): Readonly<Record<string, string>> | undefined {
  const wanted = path.split("/");
  const given = pathname.split("/");
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== value) return undefined;
      continue;
    }
    const param = decode(value);
    if (param === "") return undefined;
    params[part.slice(1)] = param;
  }
  return params;
}

/** What is no encoded text is nothing, which no route fits. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
