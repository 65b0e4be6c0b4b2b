/** printf: formatted words. */
import { printf } from "../printf.ts";
import { printer } from "../tool.ts";

printer("printf", "bin", (p, words) => {
  const args = words[0] === "--" ? words.slice(1) : words;
  if (args.length === 0) return p.fail("missing operand");
  const { text, problems } = printf(args[0], args.slice(1));
  for (const problem of problems) p.warn(problem);
  p.out(text);
  return problems.length > 0 ? 1 : 0;
});
