/** A cache that is bounded by the sizes of its entries; the entry that was used longest ago is dropped first. */
export class KeptBySize<K, V> {
  readonly #sizeMax: number;
  readonly #entries = new Map<K, { value: V; size: number }>();
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get count(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** An entry that is larger than the whole cache is not kept. */
  set(key: K, value: V, size: number): void {
    this.#delete(key);
    if (size > this.#sizeMax) return;
    this.#entries.set(key, { value, size });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#sizeMax) return;
      this.#delete(oldest);
    }
  }

  #delete(key: K): void {
    this.#size -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}
