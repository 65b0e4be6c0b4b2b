/** Finds the route of a path: a tree of segments, so that the number of routes costs nothing. */
import type { Method, Route } from "./route.ts";

interface Node {
  /** Segments that are written as they are; they come before a parameter. */
  literal: Map<string, Node>;
  parameter: { name: string; node: Node } | null;
  /** `{name}*`: all that follows, slashes included. */
  rest: { name: string; routes: Map<Method, Route> } | null;
  routes: Map<Method, Route>;
}

export interface Match {
  routes: Map<Method, Route>;
  /** As they stand in the path, still percent-encoded. */
  params: Record<string, string>;
}

function newNode(): Node {
  return { literal: new Map(), parameter: null, rest: null, routes: new Map() };
}

export class Router {
  readonly #root = newNode();

  constructor(routes: Route[]) {
    for (const route of routes) this.#add(route);
  }

  #add(route: Route): void {
    let node = this.#root;
    for (const segment of route.path.split("/").slice(1)) {
      const rest = /^\{(\w+)\}\*$/.exec(segment);
      if (rest !== null) {
        node.rest ??= { name: rest[1]!, routes: new Map() };
        node.rest.routes.set(route.method, route);
        return;
      }
      const parameter = /^\{(\w+)\}$/.exec(segment);
      if (parameter === null) {
        if (!node.literal.has(segment)) node.literal.set(segment, newNode());
        node = node.literal.get(segment)!;
      } else {
        node.parameter ??= { name: parameter[1]!, node: newNode() };
        node = node.parameter.node;
      }
    }
    node.routes.set(route.method, route);
  }

  /** The routes of a path without its query, or null. */
  match(path: string): Match | null {
    const params: Record<string, string> = {};
    let node = this.#root;
    let at = 1;
    for (;;) {
      if (at > path.length) break;
      const slash = path.indexOf("/", at);
      const end = slash < 0 ? path.length : slash;
      const segment = path.slice(at, end);
      const literal = node.literal.get(segment);
      if (literal !== undefined) node = literal;
      else if (node.parameter !== null && segment !== "") {
        params[node.parameter.name] = segment;
        node = node.parameter.node;
      } else if (node.rest !== null) {
        params[node.rest.name] = path.slice(at);
        return { routes: node.rest.routes, params };
      } else return null;
      at = end + 1;
    }
    if (node.routes.size > 0) return { routes: node.routes, params };
    // `…/fs` is the root directory of `…/fs/{path}`.
    if (node.rest === null) return null;
    params[node.rest.name] = "";
    return { routes: node.rest.routes, params };
  }
}
