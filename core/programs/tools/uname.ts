/** uname: what uname(2) tells. */
import { to } from "../../sched/steps.ts";
import { getopt } from "../options.ts";
import { tool } from "../tool.ts";

const FIELD = 65;

tool<{ shown: string }>("uname", "bin", (p, args) => {
  const { has, problem } = getopt(args, "asnrvmpio", {
    all: "a", "kernel-name": "s", nodename: "n", "kernel-release": "r", "kernel-version": "v", machine: "m", "operating-system": "o",
  });
  if (problem !== "") return p.fail(problem);
  const letters = Object.keys(has).join("");
  return { shown: letters === "" ? "s" : letters.includes("a") ? "snrvmo" : letters };
}, {
  ask: (p) => p.sys("uname", { room: FIELD * 6 }),
  tell: (p, { shown }) => {
    if (p.ret < 0) return to("ask");
    const field = (at: number): string => p.text(FIELD, at * FIELD).replace(/\0[^]*/, "");
    const values: { [letter: string]: string } = {
      s: field(0), n: field(1), r: field(2), v: field(3), m: field(4), p: "unknown", i: "unknown", o: "GNU/Linux",
    };
    p.out(`${[..."snrvmpio"].filter((letter) => shown.includes(letter)).map((letter) => values[letter]).join(" ")}\n`);
    return 0;
  },
});
