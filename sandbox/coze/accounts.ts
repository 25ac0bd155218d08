import { checkPage, toPage } from "./pages.ts";
import type { Outcome } from "./routes.ts";
import { isRefusal, refuse } from "./rules.ts";

/** An account of the service. */
export interface StandInUser {
  readonly id: string;
  readonly userName: string;
  readonly nickName: string;
}

export interface StandInWorkspace {
  readonly id: string;
  readonly name: string;
  readonly type: "personal" | "team";
  /** Empty for those of a person. */
  readonly enterpriseId: string;
  readonly ownerId: string;
  readonly memberIds: readonly string[];
}

/** The account of every token that nobody else was given. */
export const STAND_IN_USER: StandInUser = {
  id: "7370000000000000001",
  userName: "sandbox",
  nickName: "Sandbox",
};
/** Its own workspace, where the stand-in's bots live. */
export const STAND_IN_WORKSPACE = "7360000000000000001";
/** An organisation's workspace of which it is a member. */
export const TEAM_WORKSPACE = "7360000000000000002";

/** Workspaces of a page, when nobody says (coze-api.md §12.3). */
const DEFAULT_PAGE_SIZE = 20;

/** Who is who: accounts, whose tokens are whose, and the workspaces they share (coze-api.md §12.3). */
export class Accounts {
  readonly users: Map<string, StandInUser> = new Map([[STAND_IN_USER.id, STAND_IN_USER]]);
  readonly workspaces: Map<string, StandInWorkspace> = new Map();
  readonly #owners = new Map<string, string>();

  constructor() {
    const others = "7370000000000000002";
    this.#found({ id: STAND_IN_WORKSPACE, name: "Sandbox", type: "personal", enterpriseId: "" }, []);
    this.#found(
      { id: TEAM_WORKSPACE, name: "Team", type: "team", enterpriseId: "volcano_2100000001" },
      [STAND_IN_USER.id],
      others,
    );
  }

  /** Gives a token to an account of its own; the caller has it accepted. */
  own(token: string, user: StandInUser): void {
    this.users.set(user.id, user);
    this.#owners.set(token, user.id);
  }

  userOf(token: string): StandInUser {
    return this.users.get(this.#owners.get(token) ?? STAND_IN_USER.id) ?? STAND_IN_USER;
  }

  /** Whether an account has a place in a workspace. */
  isMember(userId: string, workspaceId: string): boolean {
    const workspace = this.workspaces.get(workspaceId);
    return workspace !== undefined && isIn(workspace, userId);
  }

  me(token: string): Outcome {
    const { id, userName, nickName } = this.userOf(token);
    const avatar = "https://example.com/avatar.png";
    return { body: { data: { user_id: id, user_name: userName, nick_name: nickName, avatar_url: avatar } } };
  }

  listWorkspaces(query: (name: string) => string, token: string): Outcome {
    const page = checkPage(query, { defaultSize: DEFAULT_PAGE_SIZE });
    if (isRefusal(page)) return page;
    const [userId, accountId] = [query("user_id"), query("coze_account_id")];
    // One without the other is not supported (`DOC:list_workspace`).
    if ((userId === "") !== (accountId === "")) {
      return refuse(4000, "user_id and coze_account_id go together");
    }
    const user = userId || this.userOf(token).id;
    const enterprise = query("enterprise_id");
    // Asked for somebody or for an enterprise, personal ones are left out (`DOC:list_workspace`).
    const teamsOnly = userId !== "" || enterprise !== "";
    const listed = [...this.workspaces.values()].filter(
      (workspace) =>
        isIn(workspace, user) &&
        (enterprise === "" || workspace.enterpriseId === enterprise) &&
        (!teamsOnly || workspace.type === "team"),
    );
    const workspaces = toPage(listed, page).page.map((workspace) => toWireWorkspace(workspace, user));
    return { body: { data: { workspaces, total_count: listed.length } } };
  }

  #found(
    workspace: Omit<StandInWorkspace, "ownerId" | "memberIds">,
    memberIds: readonly string[],
    ownerId = STAND_IN_USER.id,
  ): void {
    this.workspaces.set(workspace.id, { ...workspace, ownerId, memberIds });
  }
}

function isIn({ ownerId, memberIds }: StandInWorkspace, userId: string): boolean {
  return ownerId === userId || memberIds.includes(userId);
}

function toWireWorkspace(workspace: StandInWorkspace, userId: string): object {
  return {
    id: workspace.id,
    name: workspace.name,
    icon_url: "https://example.com/workspace.png",
    owner_uid: workspace.ownerId,
    role_type: workspace.ownerId === userId ? "owner" : "member",
    admin_uids: [],
    description: "",
    enterprise_id: workspace.enterpriseId,
    joined_status: "joined",
    workspace_type: workspace.type,
  };
}
