/**
 * Who is here now, for what comes and goes with every request. Not a `Set`: V8 leaves behind the table that a set has
 * outgrown, and one that has grown old keeps all that was in it, so that whole requests wait for a full collection.
 */
export class Roster<T> implements Iterable<T> {
  readonly #places: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.length - this.#free.length;
  }

  /** The function that is returned takes the item off again; only its first call does. */
  add(item: T): () => void {
    const place = this.#free.pop() ?? this.#places.length;
    this.#places[place] = item;
    let here = true;
    return () => {
      if (!here) return;
      here = false;
      this.#places[place] = undefined;
      this.#free.push(place);
    };
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const item of this.#places) if (item !== undefined) yield item;
  }
}
