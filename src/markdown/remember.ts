/**
 * The same function, but each text is worked on once. Holds all it was asked for: made for one reply, and for text
 * that does not change any more.
 */
export function remember<T>(make: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const made = make(text);
    known.set(text, made);
    return made;
  };
}
