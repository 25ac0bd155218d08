/** Silent always: an edit without this would ping again by the default rules (discord.md §2.4). */
export const NO_MENTIONS: object = { parse: [], replied_user: false };
