/** Whether people can go there from a chat: a page of the web, somebody's mailbox. `a[0](1)` is code, a path leads nowhere. */
export function isFollowable(url: string): boolean {
  return /^(?:https?:|mailto:.)/i.test(url);
}
