/** How listings show modes, owners and times. */
import { S_IFMT } from "../abi/stat.ts";

const TYPES: { [type: number]: string } = { 0o140000: "s", 0o120000: "l", 0o100000: "-", 0o60000: "b", 0o40000: "d", 0o20000: "c", 0o10000: "p" };

/** `drwxr-xr-x` */
export function modeText(mode: number): string {
  let text = TYPES[mode & S_IFMT] ?? "?";
  for (let who = 2; who >= 0; who--) {
    const bits = (mode >> (who * 3)) & 7;
    const special = (mode & (0o1000 << who)) !== 0;
    const letter = who === 0 ? "t" : "s";
    const last = special ? ((bits & 1) !== 0 ? letter : letter.toUpperCase()) : (bits & 1) !== 0 ? "x" : "-";
    text += `${(bits & 4) !== 0 ? "r" : "-"}${(bits & 2) !== 0 ? "w" : "-"}${last}`;
  }
  return text;
}

/** Names by number, of lines like those of /etc/passwd and /etc/group. */
export function parseNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name, , id] = line.split(":");
    if (id !== undefined && /^[0-9]+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

/** A number's name; root is known without any file. */
export function ownerName(names: Map<number, string>, id: number): string {
  return names.get(id) ?? (id === 0 ? "root" : String(id));
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const HALF_YEAR = 31556952 / 2;

const two = (value: number): string => String(value).padStart(2, "0");

/** Calendar fields of seconds since 1970, UTC. */
export function calendar(seconds: number): { year: number; month: number; day: number; weekday: number; hour: number; minute: number; second: number; yearDay: number } {
  const days = Math.floor(seconds / 86400);
  const rest = seconds - days * 86400;
  // Days from civil, turned round: eras of 400 years from March of the year 0.
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const ofEra = shifted - era * 146097;
  const yearOfEra = Math.floor((ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365);
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1];
  const day = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return {
    year, month, day, weekday: (((days + 4) % 7) + 7) % 7, hour: Math.floor(rest / 3600), minute: Math.floor(rest / 60) % 60, second: Math.floor(rest % 60),
    yearDay: before + day + (leap && month > 2 ? 1 : 0),
  };
}

/** `Nov 20 11:04`, or the year for what is far from now. */
export function shortTime(seconds: number, now: number): string {
  const { year, month, day, hour, minute } = calendar(seconds);
  const far = now - seconds > HALF_YEAR || seconds > now + 900;
  return `${MONTHS[month - 1]} ${String(day).padStart(2)} ${far ? String(year).padStart(5) : `${two(hour)}:${two(minute)}`}`;
}

/** `Fri Nov 20 11:04:16 2026`, with a zone before the year when one is given. */
export function fullTime(seconds: number, zone = ""): string {
  const { year, month, day, weekday, hour, minute, second } = calendar(seconds);
  return `${DAYS[weekday]} ${MONTHS[month - 1]} ${String(day).padStart(2)} ${two(hour)}:${two(minute)}:${two(second)} ${zone}${year}`;
}

const LONG_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const LONG_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** strftime(3), UTC. */
export function strftime(format: string, seconds: number, ns = 0): string {
  const t = calendar(seconds);
  const values: { [letter: string]: () => string } = {
    Y: () => String(t.year), m: () => two(t.month), d: () => two(t.day), e: () => String(t.day).padStart(2), H: () => two(t.hour), M: () => two(t.minute),
    S: () => two(t.second), s: () => String(seconds), N: () => String(ns).padStart(9, "0"), j: () => String(t.yearDay).padStart(3, "0"), y: () => two(t.year % 100),
    b: () => MONTHS[t.month - 1], h: () => MONTHS[t.month - 1], B: () => LONG_MONTHS[t.month - 1], a: () => DAYS[t.weekday], A: () => LONG_DAYS[t.weekday],
    u: () => String(t.weekday === 0 ? 7 : t.weekday), w: () => String(t.weekday), I: () => two(t.hour % 12 === 0 ? 12 : t.hour % 12), p: () => (t.hour < 12 ? "AM" : "PM"),
    F: () => `${t.year}-${two(t.month)}-${two(t.day)}`, T: () => `${two(t.hour)}:${two(t.minute)}:${two(t.second)}`, D: () => `${two(t.month)}/${two(t.day)}/${two(t.year % 100)}`,
    R: () => `${two(t.hour)}:${two(t.minute)}`, Z: () => "UTC", z: () => "+0000", n: () => "\n", t: () => "\t", "%": () => "%", c: () => fullTime(seconds),
  };
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) => (Object.hasOwn(values, letter) ? values[letter]() : whole));
}
