import type { Nodes, Root } from "mdast";
import { type Extension, fromMarkdown, type Handle, type Options } from "mdast-util-from-markdown";
import { gfmStrikethroughFromMarkdown } from "mdast-util-gfm-strikethrough";
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { gfmTaskListItemFromMarkdown } from "mdast-util-gfm-task-list-item";
import { cjkFriendlyExtension } from "micromark-extension-cjk-friendly";
import { gfmStrikethroughCjkFriendly } from "micromark-extension-cjk-friendly-gfm-strikethrough";
import { gfmTable } from "micromark-extension-gfm-table";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";
import { containerBudget, TooManyContainers, WITHOUT_CONTAINERS } from "./container-budget.ts";
import { tameMarkdown } from "./tame.ts";

/** Texts whose trees are kept: drawing looks at the same end of an answer several times, each for another question. */
const KEPT_TREES = 6;
/** Longer texts are not worth their memory, in UTF-16 code units. */
const LONGEST_KEPT = 16_384;
/** The ones asked for last; nobody changes a tree. */
const trees = new Map<string, Root>();

const WITHOUT_TABLES: Options = {
  extensions: [
    gfmTaskListItem(),
    cjkFriendlyExtension(),
    gfmStrikethroughCjkFriendly({ singleTilde: false }),
  ],
  mdastExtensions: [gfmTableFromMarkdown(), taskListItems(), gfmStrikethroughFromMarkdown()],
};
const WITH_TABLES: Options = {
  ...WITHOUT_TABLES,
  extensions: [gfmTable(), ...(WITHOUT_TABLES.extensions ?? [])],
};
/** What the line below a table's head cannot do without; looking for tables takes a sixth of the parser's time. */
const RULE_OF_TABLE = /\||:-|-:/;

/**
 * Markdown as bots write it, as a tree with source offsets.
 *
 * GFM's tables, task lists and strike-through, emphasis that works beside Chinese punctuation. Autolink literals stay
 * text: GFM's rule takes the Chinese sentence after a URL into the link. One tilde stays text: `10~20元` is a range.
 */
export function parseMarkdown(markdown: string): Root {
  const known = trees.get(markdown);
  if (known !== undefined) return known;
  const options = RULE_OF_TABLE.test(markdown) ? WITH_TABLES : WITHOUT_TABLES;
  const tree = parseWithin(tameMarkdown(markdown), options);
  if (markdown.length > LONGEST_KEPT) return tree;
  const oldest = trees.keys().next().value;
  if (trees.size >= KEPT_TREES && oldest !== undefined) trees.delete(oldest);
  trees.set(markdown, tree);
  return tree;
}

/** Where there are too many quotes and list items, they are read as plain lines. */
function parseWithin(markdown: string, options: Options): Root {
  const extensions = options.extensions ?? [];
  try {
    return fromMarkdown(markdown, { ...options, extensions: [...extensions, containerBudget()] });
  } catch (error) {
    if (!(error instanceof TooManyContainers)) throw error;
    return fromMarkdown(markdown, { ...options, extensions: [...extensions, WITHOUT_CONTAINERS] });
  }
}

/**
 * The library's own, but for a check that stands in no item, as in `2.` with `[x] a` on the next line: there it asserts
 * that there is one.
 */
function taskListItems(): Extension {
  const { exit } = gfmTaskListItemFromMarkdown();
  const inItem = (handle: Handle | undefined): Handle =>
    function (token) {
      if (this.stack.at(-2)?.type === "listItem") handle?.call(this, token);
    };
  return {
    exit: {
      ...exit,
      taskListCheckValueChecked: inItem(exit?.["taskListCheckValueChecked"]),
      taskListCheckValueUnchecked: inItem(exit?.["taskListCheckValueUnchecked"]),
    },
  };
}

/** A stretch of the source, in UTF-16 code units; `end` is the first one after it. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Where a node stands in the source it was parsed from. */
export function rangeOf(node: Nodes): Range {
  const { start, end } = node.position ?? {};
  return { start: start?.offset ?? 0, end: end?.offset ?? 0 };
}

/** Every node below and including `node`, parents first, in source order. */
export function* walk(node: Nodes): Generator<Nodes, void, undefined> {
  yield node;
  if (!("children" in node)) return;
  for (const child of node.children) yield* walk(child);
}

/** From the start of a node's first child to the end of its last one. */
export function contentOf(node: Nodes): Range | undefined {
  const children: readonly Nodes[] = "children" in node ? node.children : [];
  const first = children[0];
  const last = children.at(-1);
  return first && last && { start: rangeOf(first).start, end: rangeOf(last).end };
}
