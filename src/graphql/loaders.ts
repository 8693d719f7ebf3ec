import DataLoader from "dataloader";

/** Reads many objects at once; the result holds what was found, by id, in any order. */
export type LoadMany<V> = (ids: readonly string[]) => Promise<ReadonlyMap<string, V>>;

/** One set per request: all edges of one tick become one read, and nothing is cached beyond the request. */
export class Loaders {
  // biome-ignore lint/suspicious/noExplicitAny: each loader's type is given by the function that it is kept under.
  #byRead: Map<LoadMany<any>, DataLoader<string, any>> | undefined;

  load<V>(read: LoadMany<V>, id: string): Promise<V | undefined> {
    // Most requests follow no edge.
    this.#byRead ??= new Map();
    let loader: DataLoader<string, V | undefined> | undefined = this.#byRead.get(read);
    if (!loader) {
      loader = new DataLoader(async (ids) => {
        const found = await read(ids);
        return ids.map((id) => found.get(id));
      });
      this.#byRead.set(read, loader);
    }
    return loader.load(id);
  }
}
