/** Modes as chmod(1) takes them. */

const WHO: { [letter: string]: number } = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };

/** `0644` or `u+x,go-w` applied to `old`; undefined when it is no mode. */
export function applyMode(text: string, old: number, directory: boolean, umask = 0): number | undefined {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8) & 0o7777;
  let mode = old & 0o7777;
  for (const clause of text.split(",")) {
    const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
    if (match === null) return undefined;
    const who = match[1] === "" ? 0o7777 & ~umask : [...match[1]].reduce((bits, letter) => bits | WHO[letter], 0);
    for (const [, operator, letters] of match[2].matchAll(/([-+=])([rwxXstugo]*)/g)) {
      let bits = 0;
      for (const letter of letters) bits |= bitsOf(letter, mode, directory);
      bits &= who;
      if (operator === "+") mode |= bits;
      else if (operator === "-") mode &= ~bits;
      else mode = (mode & ~(who & 0o777)) | bits;
    }
  }
  return mode;
}

function bitsOf(letter: string, mode: number, directory: boolean): number {
  const copy = (shift: number): number => ((mode >> shift) & 7) * 0o111;
  switch (letter) {
    case "r": return 0o444;
    case "w": return 0o222;
    case "x": return 0o111;
    case "X": return directory || (mode & 0o111) !== 0 ? 0o111 : 0;
    case "s": return 0o6000;
    case "t": return 0o1000;
    case "u": return copy(6);
    case "g": return copy(3);
    default: return copy(0);
  }
}
