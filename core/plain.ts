/** Whether a value is nothing but plain data that a snapshot brings back as it was: the law that the state lives by. */

/** Typed arrays that a snapshot can hold. */
const TYPED = new Set<unknown>([Uint8Array, Uint16Array, Uint32Array, Int32Array, Float64Array, BigUint64Array]);

class Walk {
  readonly problems: string[] = [];
  /** Where each object was first met; typed arrays are met by their buffer. */
  readonly met = new Map<object, string>();
  readonly path: (string | number)[] = [];

  tell(what: string): void {
    if (this.problems.length < 20) this.problems.push(`${this.path.join(".")} is ${what}`);
  }

  inside(key: string | number, value: unknown): void {
    this.path.push(key);
    this.value(value);
    this.path.pop();
  }

  value(value: unknown): void {
    switch (typeof value) {
      case "number": case "string": case "boolean": case "bigint": return;
      case "object": return value === null ? undefined : this.object(value);
      default: this.tell(`a value of type ${typeof value}`);
    }
  }

  object(value: object): void {
    const owned = ArrayBuffer.isView(value) ? value.buffer : value;
    const before = this.met.get(owned);
    if (before !== undefined) return this.tell(`also ${before}`);
    this.met.set(owned, this.path.join("."));
    if (ArrayBuffer.isView(value)) {
      if (!TYPED.has(value.constructor)) this.tell(`a ${value.constructor.name}`);
    } else if (Array.isArray(value)) this.array(value);
    else if (value instanceof Map) this.map(value as Map<unknown, unknown>);
    else this.record(value as { [key: string]: unknown });
  }

  array(items: unknown[]): void {
    for (let at = 0; at < items.length; at++) this.inside(at, items[at]);
    if (Object.keys(items).length !== items.length) this.tell("an array with holes or further properties");
  }

  map(map: Map<unknown, unknown>): void {
    for (const [key, item] of map) {
      if (typeof key !== "string" && typeof key !== "number") this.tell(`a map with a key of type ${typeof key}`);
      this.inside(String(key), item);
    }
  }

  record(record: { [key: string]: unknown }): void {
    const prototype: unknown = Object.getPrototypeOf(record);
    if (prototype !== Object.prototype && prototype !== null) return this.tell(`a ${record.constructor.name}`);
    if (Object.getOwnPropertySymbols(record).length > 0) this.tell("a record with a symbol for a key");
    for (const key of Object.keys(record)) this.inside(key, record[key]);
  }
}

/** What in `value` is no plain data, or is owned by two places; the first 20, each with its path below `name`. */
export function plainDataProblems(value: unknown, name = "state"): string[] {
  const walk = new Walk();
  walk.inside(name, value);
  return walk.problems;
}
