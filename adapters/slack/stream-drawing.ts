import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { withoutPictureBytes } from "../../src/markdown/picture-bytes.ts";
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
  #rows: Rows | undefined;
  readonly #withoutTable = remember((block) => drawBlock(block, { tables: "none" }));

  /** The answer in Slack's dialect; while more may come, as far as it is certain. */
  draw(markdown: string, { final, cuts }: DrawOptions): string {
    const blocks = this.#blocks.cut(withoutPictureBytes(markdown, { final }));
    let drawn = "";
    let tableAt: number | undefined;
    for (const [index, block] of blocks.entries()) {
      const start = drawn.length;
      const began = cuts.findLast((cut) => cut <= start) ?? 0;
      const hasTable = tableAt !== undefined && tableAt > began;
      const isOpen = !final && index === blocks.length - 1;
      const one = isOpen ? this.#drawOpen(block, { hasTable }) : this.#drawWhole(block, { hasTable });
      drawn += one.text;
      // To its end: behind a cut inside of it, its rows go on.
      if (one.hasTable) tableAt = drawn.length;
    }
    return drawn;
  }

  /** Rows of a table that are whole are not looked at again: a long one would be parsed for each new row. */
  #drawOpen(block: string, { hasTable }: { hasTable: boolean }): SlackMarkdown {
    const rows = this.#rows;
    if (hasTable) return drawCertain(block, { hasTable });
    if (rows === undefined || !block.startsWith(rows.source)) {
      const drawn = drawCertain(block, { hasTable });
      this.#rows = rowsOf(block, drawn.text);
      return drawn;
    }
    const drawn = drawCertain(rows.head + block.slice(rows.source.length), { hasTable });
    const text = rows.drawn + drawn.text.slice(rows.drawnHead.length);
    this.#rows = rowsOf(block, text);
    return { text, hasTable: true };
  }

  #drawWhole(block: string, { hasTable }: { hasTable: boolean }): SlackMarkdown {
    return hasTable ? this.#withoutTable(block) : this.#withTable(block);
  }
}

/** What is known of a table that grows: its whole rows, and its head to read further ones by. */
interface Rows {
  readonly source: string;
  readonly drawn: string;
  readonly head: string;
  readonly drawnHead: string;
}

/** Fewer rows are quickly drawn again. */
const FEW_ROWS = 10;

/** The rows of a block that is one table and nothing else. */
function rowsOf(block: string, drawn: string): Rows | undefined {
  const lines = block.split("\n");
  const drawnLines = drawn.split("\n");
  const count = drawnLines.length - 1;
  // Line by line the same rows, to the end of the last whole one; a blank line would end the table.
  if (count < FEW_ROWS || count !== lines.length - 1 || drawnLines.at(-1) !== "") return undefined;
  if (!drawnLines.slice(0, -1).every((line) => line.startsWith("| ") && line.endsWith(" |")))
    return undefined;
  if (!/^[ \t|:-]+$/.test(lines[1] ?? "")) return undefined;
  return {
    source: `${lines.slice(0, -1).join("\n")}\n`,
    drawn,
    head: `${lines.slice(0, 2).join("\n")}\n`,
    drawnHead: `${drawnLines.slice(0, 2).join("\n")}\n`,
  };
}

/** A block that is still written, up to where nothing of it can change. */
function drawCertain(block: string, { hasTable }: { hasTable: boolean }): SlackMarkdown {
  const tables = hasTable ? "none" : "any";
  const certain = certainLength(block, { tables });
  if (certain === 0) return { text: "", hasTable: false };
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
