/** What a terminal is: its settings, what was typed and not read, what was printed, and whose it is. */

export interface Termios {
  iflag: number;
  oflag: number;
  cflag: number;
  lflag: number;
  /** Control characters, NCCS of them. */
  cc: number[];
}

export interface Pty {
  number: number;
  /** Open files of the master, and of the slave. The service's own side counts as a master that never closes by itself. */
  masters: number;
  slaves: number;
  /** The service reads what is printed: it is kept in `screen`, and nobody waits for room. */
  service: boolean;
  /** Whose command is on it, where the service reads; "" else. */
  member: string;
  termios: Termios;
  rows: number;
  columns: number;
  /** Session and foreground process group, 0 for none. */
  session: number;
  pgrp: number;
  uid: number;
  gid: number;
  /** What a reader of the slave gets; in canonical mode whole lines, an end of file as \0 behind `ends`. */
  input: string;
  /** Lengths of the lines in `input`; a line of 0 is an end of file. */
  lines: number[];
  /** The line that is being typed. */
  edited: string;
  /** What a reader of the master gets. */
  output: string;
  /** The last of what was printed, for the service, and how much was before it. */
  screen: string;
  dropped: number;
  /** The other side is gone. */
  hungUp: boolean;
  readWait: number;
  writeWait: number;
}

/** What a terminal of the service had printed when the last program left it. */
export interface EndedTerminal {
  id: number;
  screen: string;
  dropped: number;
}
