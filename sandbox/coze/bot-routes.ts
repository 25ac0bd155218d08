import type { Accounts } from "./accounts.ts";
import type { BotsService } from "./bots.ts";
import { type Route, withBody } from "./routes.ts";

/** Bots, workspaces and users (coze-api.md §12). */
export function botRoutes(bots: BotsService, accounts: Accounts): readonly Route[] {
  return [
    { method: "GET", path: "/v1/bots", handle: ({ query, bearer }) => bots.list(query, bearer) },
    {
      method: "GET",
      path: "/v1/bots/:bot_id",
      handle: ({ params, query, bearer }) => bots.retrieve(params["bot_id"] ?? "", query, bearer),
    },
    {
      method: "POST",
      path: "/v1/bots/:bot_id/unpublish",
      handle: withBody((fields, { params, bearer }) =>
        bots.unpublish(params["bot_id"] ?? "", fields, bearer),
      ),
    },
    {
      method: "POST",
      path: "/v1/bot/create",
      handle: withBody((fields, { bearer }) => bots.create(fields, bearer)),
    },
    {
      method: "POST",
      path: "/v1/bot/update",
      handle: withBody((fields, { bearer }) => bots.update(fields, bearer)),
    },
    {
      method: "POST",
      path: "/v1/bot/publish",
      handle: withBody((fields, { bearer }) => bots.publish(fields, bearer)),
    },
    {
      method: "GET",
      path: "/v1/bot/get_online_info",
      handle: ({ query, bearer }) => bots.retrieveOnline(query("bot_id"), bearer),
    },
    {
      method: "GET",
      path: "/v1/space/published_bots_list",
      handle: ({ query, bearer }) => bots.listOnline(query, bearer),
    },
    {
      method: "GET",
      path: "/v1/workspaces",
      handle: ({ query, bearer }) => accounts.listWorkspaces(query, bearer),
    },
    { method: "GET", path: "/v1/users/me", handle: ({ bearer }) => accounts.me(bearer) },
  ];
}
