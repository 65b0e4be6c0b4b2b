/** Our own errors: what can only be wrong in this program throws, and is never an errno. */

/** Throws when something that must hold does not. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assert: ${message}`);
}

/** The same where a message that names something would cost: it is put together only once it is wanted. */
export function fail(message: string): never {
  throw new Error(`assert: ${message}`);
}

/** What a map holds under an id that we wrote ourselves; throws when there is nothing. */
export function must<K, V>(map: { get(id: K): V | undefined }, id: K): V {
  const found = map.get(id);
  if (found === undefined) throw new Error(`must: no ${String(id)}`);
  return found;
}

/** For a case that types say cannot be: `default: never(kind)`. */
export function never(value: never): never {
  throw new Error(`never: ${String(value)}`);
}
