import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { remember } from "../../src/markdown/remember.ts";
import { certainLength } from "./certain-length.ts";
import type { SlackMarkdown } from "./dialect.ts";
import { drawBlock } from "./draw-block.ts";

interface DrawOptions {
  /** Nothing follows. */
  readonly final: boolean;
  /** Where messages end, in characters of what is drawn, ascending: each one may have a table of Slack's own. */
  readonly cuts: readonly number[];
}

/**
 * Draws a growing answer so that it can be appended: what is drawn of a text stays as it is when the text goes on.
 * One for each reply, it remembers what is finished.
 */
export class StreamDrawing {
  readonly #blocks = new FinishedBlocks();
  readonly #withTable = remember((block) => drawBlock(block, { tables: "any" }));
  readonly #withoutTable = remember((block) => drawBlock(block, { tables: "none" }));

  /** The answer in Slack's dialect; while more may come, as far as it is certain. */
  draw(markdown: string, { final, cuts }: DrawOptions): string {
    const blocks = this.#blocks.cut(markdown);
    let drawn = "";
    let tableAt: number | undefined;
    for (const [index, block] of blocks.entries()) {
      const start = drawn.length;
      const began = cuts.findLast((cut) => cut <= start) ?? 0;
      const hasTable = tableAt !== undefined && tableAt > began;
      const isOpen = !final && index === blocks.length - 1;
      const one = isOpen ? drawCertain(block, { hasTable }) : this.#drawWhole(block, { hasTable });
      drawn += one.text;
      // To its end: behind a cut inside of it, its rows go on.
      if (one.hasTable) tableAt = drawn.length;
    }
    return drawn;
  }

  #drawWhole(block: string, { hasTable }: { hasTable: boolean }): SlackMarkdown {
    return hasTable ? this.#withoutTable(block) : this.#withTable(block);
  }
}

/** A block that is still written, up to where nothing of it can change. */
function drawCertain(block: string, { hasTable }: { hasTable: boolean }): SlackMarkdown {
  const tables = hasTable ? "none" : "any";
  const certain = certainLength(block, { tables });
  const drawn = drawBlock(block.slice(0, certain), { tables });
  if (certain === block.length) return drawn;
  // What follows has its say in what marks are marks.
  return { ...drawn, text: commonStart(drawn.text, drawBlock(block, { tables }).text) };
}

function commonStart(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}
