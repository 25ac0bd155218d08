/**
 * Cuts text into lines, as it comes in. What follows the last line break is left out.
 *
 * @param stream - Yields strings, e.g. a stream with an encoding.
 * @throws {Error} when a line is longer than `maxCharacters`.
 */
export async function* linesOf(
  stream: AsyncIterable<unknown>,
  maxCharacters: number,
): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream) {
    const lines = `${rest}${String(chunk)}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > maxCharacters) throw new Error(`a line is longer than ${maxCharacters} characters`);
  }
}
