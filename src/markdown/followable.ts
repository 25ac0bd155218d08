/**
 * Whether people can go there from a chat: a page of the web, somebody's mailbox. `a[0](1)` is code, a path leads
 * nowhere, and a mailbox whose name holds a link is none.
 */
export function isFollowable(url: string): boolean {
  return /^(?:https?:|mailto:[^\s()[\]<>]+$)/i.test(url);
}
