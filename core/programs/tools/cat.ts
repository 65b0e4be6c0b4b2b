/** cat: what is read is written at once. */
import { filter } from "../filter.ts";
import { getopt } from "../options.ts";

interface State {
  number: boolean;
  line: number;
  start: boolean;
}

filter<State>("cat", {
  direct: true,
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "nuvetAbs");
    if (problem !== "") return p.fail(problem);
    return { files: rest, state: { number: "n" in has, line: 0, start: true } };
  },
  chunk: (p, state, bytes) => {
    if (!state.number) return p.out(bytes);
    let text = "";
    for (const part of bytes.split(/(?<=\n)/)) {
      text += state.start ? `${String(++state.line).padStart(6)}\t${part}` : part;
      state.start = part.endsWith("\n");
    }
    p.out(text);
  },
});
