import { type Refusal, refuse } from "./rules.ts";

/** Largest page of most lists that are paged by number (coze-api.md §9.1, §12.3). */
const MAX_PAGE_SIZE = 50;

export interface PageRequest {
  readonly pageNumber: number;
  readonly pageSize: number;
}

/** Which page is asked for; `query` gives an empty string for what is absent. */
export function checkPage(
  query: (name: string) => string,
  { defaultSize, maxSize = MAX_PAGE_SIZE }: { defaultSize: number; maxSize?: number },
): PageRequest | Refusal {
  const pageNumber = Number(query("page_num") || 1);
  const pageSize = Number(query("page_size") || defaultSize);
  if (!Number.isInteger(pageNumber) || pageNumber < 1) return refuse(4000, "page_num is 1 or more");
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > maxSize) {
    return refuse(4000, `page_size is 1 to ${maxSize}`);
  }
  return { pageNumber, pageSize };
}

export function toPage<T>(
  list: readonly T[],
  { pageNumber, pageSize }: PageRequest,
): { readonly page: readonly T[]; readonly hasMore: boolean } {
  const start = (pageNumber - 1) * pageSize;
  return { page: list.slice(start, start + pageSize), hasMore: start + pageSize < list.length };
}
