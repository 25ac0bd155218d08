import { CozeError } from "../core/errors.ts";
import { refuse } from "./refusal.ts";

/** Largest page of a list (coze-api.md §9.1, §9.2, §12.3). */
export const MAX_PAGE_SIZE = 50;
/** Most pages of one list: more are a server that never comes to an end. */
const MAX_PAGES = 2_000;
/** Pages in a row that tell nothing new, before a list is given up. One can be a list that grew meanwhile. */
const MAX_STALE_PAGES = 3;

/** Which page of a list; pages are counted from 1. */
export interface PageNumber {
  /** Default 1. */
  readonly pageNumber?: number;
  /** 1–50. */
  readonly pageSize?: number;
}

/** A page of a list that is paged by number. */
export interface NumberedPage<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
  /** Of the whole list, where it is told. */
  readonly total?: number;
}

/** A piece of a list, and where the next one begins; `undefined` at the end. */
export interface Piece<T, Position> {
  readonly items: readonly T[];
  readonly next: Position | undefined;
}

/**
 * Reads a list piece by piece; none is fetched before its first item is asked for. Lists move while they are read: what
 * comes a second time is left out.
 *
 * @throws {CozeError} `COZE_FAILED` when the server goes in circles, or after 2,000 pages; what came until then stays.
 */
export async function* readList<T, Position extends string | number>(
  first: Position,
  {
    load,
    toId,
    call,
  }: { load: (at: Position) => Promise<Piece<T, Position>>; toId: (item: T) => string; call: string },
): AsyncGenerator<T, void, undefined> {
  const seen = new Set<string>();
  const visited = new Set<Position>();
  let stale = 0;
  for (let at = first; ; ) {
    visited.add(at);
    const { items, next } = await load(at);
    const before = seen.size;
    for (const item of items) {
      const known = seen.size;
      if (seen.add(toId(item)).size > known) yield item;
    }
    if (next === undefined) return;
    stale = seen.size > before ? 0 : stale + 1;
    if (visited.has(next) || stale === MAX_STALE_PAGES) throw endless(call, "the same pages again and again");
    if (visited.size === MAX_PAGES) throw endless(call, `more than ${MAX_PAGES} pages`);
    at = next;
  }
}

/**
 * {@link readList} for lists that are paged by number. A list that tells its length is read until all of it was there,
 * even where the server makes its pages smaller than they were asked for.
 */
export function readNumbered<T>(
  load: (pageNumber: number) => Promise<NumberedPage<T>>,
  { toId, call }: { toId: (item: T) => string; call: string },
): AsyncGenerator<T, void, undefined> {
  let read = 0;
  return readList<T, number>(1, {
    load: async (pageNumber) => {
      const { items, hasMore, total } = await load(pageNumber);
      read += items.length;
      const more = total === undefined ? hasMore : items.length > 0 && read < total;
      return { items, next: more ? pageNumber + 1 : undefined };
    },
    toId,
    call,
  });
}

/**
 * The query of a page; its size is always sent, since defaults differ (coze-api.md §19).
 *
 * @throws {CozeError} `COZE_BAD_REQUEST`
 */
export function toPageQuery({ pageNumber = 1, pageSize = MAX_PAGE_SIZE }: PageNumber): {
  readonly page_num: number;
  readonly page_size: number;
} {
  if (!Number.isSafeInteger(pageNumber) || pageNumber < 1) refuse("pages are counted from 1");
  checkPageSize(pageSize);
  return { page_num: pageNumber, page_size: pageSize };
}

/** @throws {CozeError} `COZE_BAD_REQUEST` */
export function checkPageSize(pageSize: number): void {
  const fits = Number.isSafeInteger(pageSize) && pageSize >= 1 && pageSize <= MAX_PAGE_SIZE;
  if (!fits) refuse(`a page holds 1 to ${MAX_PAGE_SIZE} items`);
}

/** A page of a list that tells its length instead of its end; where it tells neither, a short page is the last. */
export function toCountedPage<T>(
  items: readonly T[],
  total: number | undefined,
  asked: PageNumber,
): NumberedPage<T> {
  const { page_num: pageNumber, page_size: pageSize } = toPageQuery(asked);
  const hasMore = total === undefined ? items.length >= pageSize : pageNumber * pageSize < total;
  return { items, hasMore, ...(total !== undefined && { total }) };
}

function endless(call: string, what: string): CozeError {
  return new CozeError("COZE_FAILED", `Coze ${call}: ${what}; the list was left there, read it again later`, {
    outcome: "refused",
  });
}
