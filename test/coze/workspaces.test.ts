import { describe, expect, it } from "vitest";
import { STAND_IN_USER, STAND_IN_WORKSPACE, TEAM_WORKSPACE } from "../../sandbox/coze/accounts.ts";
import { noAbort, openPair } from "./coze-kit.ts";
import { send } from "./send.ts";

const options = { signal: noAbort() };
const LIST = "GET /v1/workspaces";

describe("workspaces", () => {
  it("are those of the account, with its role in each", async () => {
    await using pair = await openPair();
    expect(await Array.fromAsync(pair.client.workspaces.list(options))).toMatchObject([
      { workspaceId: STAND_IN_WORKSPACE, name: "Sandbox", role: "owner", type: "personal", enterpriseId: "" },
      { workspaceId: TEAM_WORKSPACE, role: "member", type: "team", enterpriseId: "volcano_2100000001" },
    ]);
  });

  it("come page by page, whose length is always sent", async () => {
    await using pair = await openPair();
    const list = pair.client.workspaces.list({ pageSize: 1, ...options });
    const ids = (await Array.fromAsync(list)).map(({ workspaceId }) => workspaceId);
    expect(ids).toEqual([STAND_IN_WORKSPACE, TEAM_WORKSPACE]);
    await pair.client.workspaces.page(options);
    expect(pair.coze.traffic.exchanges.map(({ request }) => request)).toMatchObject([
      { query: { page_num: "1", page_size: "1" } },
      { query: { page_num: "2", page_size: "1" } },
      { query: { page_num: "1", page_size: "50" } },
    ]);
  });

  it("can be those of an enterprise, or of another member", async () => {
    await using pair = await openPair();
    const { workspaces } = pair.client;
    const mine = await workspaces.page({ enterpriseId: "volcano_2100000001", ...options });
    expect(mine).toMatchObject({ items: [{ workspaceId: TEAM_WORKSPACE }], total: 1 });
    expect(await workspaces.page({ enterpriseId: "volcano_7", ...options })).toMatchObject({ items: [] });
    const member = { userId: STAND_IN_USER.id, accountId: "7480000000000000001" };
    const theirs = await workspaces.page({ member, ...options });
    expect(theirs.items).toMatchObject([{ workspaceId: TEAM_WORKSPACE }]);
  });

  const data = { workspaces: [{ id: 7, name: "Team", admin_uids: ["1"] }], total_count: 1 };
  const text = { "content-type": "text/plain; charset=utf-8" };

  it.each([
    ["a body of text", { headers: text, body: JSON.stringify({ code: 0, data }) }],
    ["data of text", { body: { code: 0, data: JSON.stringify(data) } }],
    ["long numbers", { body: '{"code":0,"data":{"workspaces":[{"id":7,"name":"Team"}],"total_count":1}}' }],
  ])("are read from %s", async (_, answer) => {
    await using pair = await openPair();
    pair.coze.faults.plan(LIST, { do: "answer", status: 200, ...answer });
    expect(await pair.client.workspaces.page(options)).toMatchObject({
      items: [{ workspaceId: "7", name: "Team", role: "" }],
      hasMore: false,
      total: 1,
    });
  });

  it.each([{ code: 0, data: "nonsense" }, { code: 0, data: { workspaces: [{}] } }, { code: 0 }])(
    "are not read from %j",
    async (body) => {
      await using pair = await openPair();
      pair.coze.faults.plan(LIST, { do: "answer", status: 200, body });
      await expect(pair.client.workspaces.page(options)).rejects.toMatchObject({ code: "COZE_FAILED" });
    },
  );

  it("are refused half a member, and pages beyond 50", async () => {
    await using pair = await openPair();
    for (const query of ["user_id=1", "coze_account_id=1", "page_size=51", "page_num=x"]) {
      expect((await send(pair, "GET", `/v1/workspaces?${query}`)).code).toBe(4000);
    }
  });
});
