/** Places under a limit: what is being made counts already, so that many at once make no more than one after the other. */
import { Problem } from "../errors.ts";

export class Places {
  /** Makings under way, in the order in which they came. */
  readonly #coming = new Set<symbol>();

  /**
   * Makes something where there is room for it.
   * @param count how many there are already; those that were kept meanwhile are in it
   * @throws Problem 507 with `full` as its detail
   */
  async make<T>(limit: number, count: () => Promise<number>, full: string, make: () => Promise<T>): Promise<T> {
    const place = Symbol();
    this.#coming.add(place);
    try {
      let before = await count();
      for (const other of this.#coming) {
        if (other === place) break;
        before++;
      }
      if (before >= limit) throw new Problem(507, "full", full);
      return await make();
    } finally {
      this.#coming.delete(place);
    }
  }
}
