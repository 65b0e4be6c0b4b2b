/** ioctl(2): how request numbers are made, and those of files, terminals and sockets. */
import type { ChoiceTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const _IOC_NONE = 0;
export const _IOC_WRITE = 1;
export const _IOC_READ = 2;

/** A request number: 2 bits of direction, 14 of size, 8 of type, 8 of number. `type` is a number or a letter. */
export function _IOC(direction: number, type: number | string, number: number, size: number): number {
  const letter = typeof type === "string" ? type.charCodeAt(0) : type;
  return ((direction << 30) | (size << 16) | (letter << 8) | number) >>> 0;
}
export const _IO = (type: number | string, number: number): number => _IOC(_IOC_NONE, type, number, 0);
/** The kernel writes `size` bytes for the caller to read. */
export const _IOR = (type: number | string, number: number, size: number): number => _IOC(_IOC_READ, type, number, size);
/** The kernel reads `size` bytes of the caller's. */
export const _IOW = (type: number | string, number: number, size: number): number => _IOC(_IOC_WRITE, type, number, size);
export const _IOWR = (type: number | string, number: number, size: number): number => _IOC(_IOC_READ | _IOC_WRITE, type, number, size);
export const _IOC_DIR = (request: number): number => request >>> 30;
export const _IOC_SIZE = (request: number): number => (request >>> 16) & 0x3fff;
export const _IOC_TYPE = (request: number): number => (request >>> 8) & 0xff;
export const _IOC_NR = (request: number): number => request & 0xff;

export const FIONBIO = 0x5421;
export const FIOASYNC = 0x5452;
export const FIOCLEX = 0x5451;
export const FIONCLEX = 0x5450;
export const FIONREAD = 0x541b;
export const TIOCOUTQ = 0x5411;
export const FIOQSIZE = 0x5460;
export const FIBMAP = 0x1;
export const FIGETBSZ = 0x2;
export const FS_IOC_GETFLAGS = 0x80086601;
export const FS_IOC_SETFLAGS = 0x40086602;
export const FS_IOC_FIEMAP = 0xc020660b;
export const FICLONE = 0x40049409;
export const FICLONERANGE = 0x4020940d;
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCGETA = 0x5405;
export const TCSETA = 0x5406;
export const TCSETAW = 0x5407;
export const TCSETAF = 0x5408;
export const TCSBRK = 0x5409;
export const TCXONC = 0x540a;
export const TCFLSH = 0x540b;
export const TIOCEXCL = 0x540c;
export const TIOCNXCL = 0x540d;
export const TIOCSCTTY = 0x540e;
export const TIOCNOTTY = 0x5422;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCGSID = 0x5429;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGPTLCK = 0x80045439;
export const TIOCGPTPEER = 0x5441;
export const TIOCPKT = 0x5420;
export const TIOCGETD = 0x5424;
export const TIOCSETD = 0x5423;
export const TCGETS2 = 0x802c542a;
export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
export const SIOCATMARK = 0x8905;
export const SIOCSPGRP = 0x8902;
export const SIOCGPGRP = 0x8904;
export const FIOSETOWN = 0x8901;
export const FIOGETOWN = 0x8903;
export const SIOCGSTAMP_OLD = 0x8906;
export const SIOCGIFNAME = 0x8910;
export const SIOCGIFCONF = 0x8912;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCGIFADDR = 0x8915;
export const SIOCGIFNETMASK = 0x891b;
export const SIOCGIFMTU = 0x8921;
export const SIOCGIFINDEX = 0x8933;
export const SIOCGIFHWADDR = 0x8927;

/** Names of requests. A driver's own are not here: they are written with _IOC, as strace does for what it does not know. */
export const ioctlRequests: ChoiceTable = {
  prefix: "",
  values: {
    FIONBIO, FIOASYNC, FIOCLEX, FIONCLEX, FIONREAD, TIOCOUTQ, FIOQSIZE, FIBMAP, FIGETBSZ, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS,
    FS_IOC_FIEMAP, FICLONE, FICLONERANGE, TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETA, TCSETA, TCSETAW, TCSETAF, TCSBRK, TCXONC, TCFLSH,
    TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCGPTN, TIOCSPTLCK,
    TIOCGPTLCK, TIOCGPTPEER, TIOCPKT, TIOCGETD, TIOCSETD, TCGETS2, SIOCATMARK, SIOCSPGRP, SIOCGPGRP, FIOSETOWN, FIOGETOWN,
    SIOCGSTAMP_OLD, SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFINDEX, SIOCGIFHWADDR,
  },
  aliases: { TIOCINQ: FIONREAD, SIOCINQ, SIOCOUTQ },
};

/** A request as strace writes it: its name, or `_IOC(_IOC_READ, 0x6b, 0x1, 0x4)`. */
export function formatIoctl(request: number): string {
  const code = request >>> 0;
  const { values } = ioctlRequests;
  for (const name in values) if (values[name] === code) return name;
  const direction = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"][_IOC_DIR(code)]!;
  const [type, number, size] = [_IOC_TYPE(code), _IOC_NR(code), _IOC_SIZE(code)].map((part) => (part === 0 ? "0" : `0x${part.toString(16)}`));
  return `_IOC(${direction}, ${type}, ${number}, ${size})`;
}

export const winsizeLayout = layout(8, { ws_row: [0, "u16"], ws_col: [2, "u16"], ws_xpixel: [4, "u16"], ws_ypixel: [6, "u16"] });
/** The kernel's struct termios of TCGETS. */
export const termiosLayout = layout(36, {
  c_iflag: [0, "u32"],
  c_oflag: [4, "u32"],
  c_cflag: [8, "u32"],
  c_lflag: [12, "u32"],
  c_line: [16, "u8"],
  c_cc: [17, { bytes: 19 }],
});
