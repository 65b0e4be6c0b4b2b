/** What the shell's parser makes of a script. Nodes lie in one array, so that a frame names one by the script and a number. */

export type Part =
  | { part: "text"; text: string; quoted: boolean }
  /** $name, ${name}, ${name op word}; `op` is "" for the plain value and "#len" for its length. */
  | { part: "variable"; name: string; op: string; word: Word; quoted: boolean }
  /** $(…) by its node; `…` by its own script, and a number of its own. */
  | { part: "command"; node: number; script: string; quoted: boolean }
  | { part: "arithmetic"; word: Word; quoted: boolean };

export type Word = Part[];

export interface Redirection {
  fd: number;
  /** <, >, >>, >|, <>, <&, >&, or << with its text as `word`. */
  op: string;
  word: Word;
}

export interface Assignment {
  name: string;
  word: Word;
}

export type Node =
  | { kind: "list"; items: { node: number; background: boolean }[] }
  | { kind: "and" | "or"; left: number; right: number }
  | { kind: "not"; of: number }
  | { kind: "pipe"; parts: number[] }
  | { kind: "simple"; assignments: Assignment[]; words: Word[]; redirections: Redirection[]; line: number }
  | { kind: "if"; condition: number; then: number; else: number }
  | { kind: "while"; until: boolean; condition: number; body: number }
  | { kind: "for"; name: string; words: Word[] | null; body: number }
  | { kind: "case"; word: Word; arms: { patterns: Word[]; body: number }[] }
  | { kind: "group"; body: number }
  | { kind: "subshell"; body: number }
  | { kind: "function"; name: string; body: number }
  | { kind: "redirected"; body: number; redirections: Redirection[] };

export interface Script {
  nodes: Node[];
  /** Complete commands in their order: a list node each. */
  commands: number[];
  /** What ended the parse before the end of the text; "" for nothing. */
  error: string;
  /** The error is only that the text ends too early. */
  incomplete: boolean;
  errorLine: number;
}
