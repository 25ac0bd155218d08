import type { Nodes } from "mdast";
import type { Edit } from "./edits.ts";

/**
 * What a platform's dialect changes at each kind of node; a kind without a rule is left as it is, and what is inside
 * is looked at.
 */
export type Rules<Place> = {
  readonly [Kind in Nodes["type"]]?: (node: Extract<Nodes, { type: Kind }>, place: Place) => readonly Edit[];
};

/** What has to be changed at a node and inside of it. */
function editsAt<Place>(node: Nodes, place: Place, rules: Rules<Place>): readonly Edit[] {
  // Each rule stands under the kind of node that it takes.
  const rule = rules[node.type] as ((node: Nodes, place: Place) => readonly Edit[]) | undefined;
  return rule === undefined ? editsBelow(node, place, rules) : rule(node, place);
}

/** What has to be changed inside of a node. */
export function editsBelow<Place>(node: Nodes, place: Place, rules: Rules<Place>): readonly Edit[] {
  return "children" in node ? node.children.flatMap((child) => editsAt(child, place, rules)) : [];
}
