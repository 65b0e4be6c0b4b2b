/** test and [ as programs. */
import { test } from "../test_expression.ts";
import { tool } from "../tool.ts";

tool<{ words: string[] }>("test", "bin", (_p, args) => ({ words: args }), {
  test: (p, { words }) => test(p, words),
  end: (p) => p.ret,
});

tool<{ words: string[] }>("[", "bin", (p, args) => (args[args.length - 1] === "]" ? { words: args.slice(0, -1) } : p.fail("missing ]", 2)), {
  test: (p, { words }) => test(p, words),
  end: (p) => p.ret,
});
