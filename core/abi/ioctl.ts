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

export const FIBMAP = 0x1;
export const FIGETBSZ = 0x2;
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
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCOUTQ = 0x5411;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCMGET = 0x5415;
export const TIOCMBIS = 0x5416;
export const TIOCMBIC = 0x5417;
export const TIOCMSET = 0x5418;
export const TIOCGSOFTCAR = 0x5419;
export const TIOCSSOFTCAR = 0x541a;
export const FIONREAD = 0x541b;
export const TIOCLINUX = 0x541c;
export const TIOCCONS = 0x541d;
export const TIOCGSERIAL = 0x541e;
export const TIOCSSERIAL = 0x541f;
export const TIOCPKT = 0x5420;
export const FIONBIO = 0x5421;
export const TIOCNOTTY = 0x5422;
export const TIOCSETD = 0x5423;
export const TIOCGETD = 0x5424;
export const TCSBRKP = 0x5425;
export const TIOCSBRK = 0x5427;
export const TIOCCBRK = 0x5428;
export const TIOCGSID = 0x5429;
export const TIOCGRS485 = 0x542e;
export const TIOCSRS485 = 0x542f;
export const TCGETX = 0x5432;
export const TCSETX = 0x5433;
export const TCSETXF = 0x5434;
export const TCSETXW = 0x5435;
export const TIOCVHANGUP = 0x5437;
export const TIOCGPTPEER = 0x5441;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOASYNC = 0x5452;
export const TIOCSERCONFIG = 0x5453;
export const TIOCSERGWILD = 0x5454;
export const TIOCSERSWILD = 0x5455;
export const TIOCGLCKTRMIOS = 0x5456;
export const TIOCSLCKTRMIOS = 0x5457;
export const TIOCSERGSTRUCT = 0x5458;
export const TIOCSERGETLSR = 0x5459;
export const TIOCSERGETMULTI = 0x545a;
export const TIOCSERSETMULTI = 0x545b;
export const TIOCMIWAIT = 0x545c;
export const TIOCGICOUNT = 0x545d;
export const FIOQSIZE = 0x5460;
export const FIOSETOWN = 0x8901;
export const SIOCSPGRP = 0x8902;
export const FIOGETOWN = 0x8903;
export const SIOCGPGRP = 0x8904;
export const SIOCATMARK = 0x8905;
export const SIOCGSTAMP_OLD = 0x8906;
export const SIOCGSTAMPNS_OLD = 0x8907;
export const SIOCADDRT = 0x890b;
export const SIOCDELRT = 0x890c;
export const SIOCRTMSG = 0x890d;
export const SIOCGIFNAME = 0x8910;
export const SIOCSIFLINK = 0x8911;
export const SIOCGIFCONF = 0x8912;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFADDR = 0x8915;
export const SIOCSIFADDR = 0x8916;
export const SIOCGIFDSTADDR = 0x8917;
export const SIOCSIFDSTADDR = 0x8918;
export const SIOCGIFBRDADDR = 0x8919;
export const SIOCSIFBRDADDR = 0x891a;
export const SIOCGIFNETMASK = 0x891b;
export const SIOCSIFNETMASK = 0x891c;
export const SIOCGIFMETRIC = 0x891d;
export const SIOCSIFMETRIC = 0x891e;
export const SIOCGIFMEM = 0x891f;
export const SIOCSIFMEM = 0x8920;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCSIFNAME = 0x8923;
export const SIOCSIFHWADDR = 0x8924;
export const SIOCGIFENCAP = 0x8925;
export const SIOCSIFENCAP = 0x8926;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCGIFSLAVE = 0x8929;
export const SIOCSIFSLAVE = 0x8930;
export const SIOCADDMULTI = 0x8931;
export const SIOCDELMULTI = 0x8932;
export const SIOCGIFINDEX = 0x8933;
export const SIOCSIFPFLAGS = 0x8934;
export const SIOCGIFPFLAGS = 0x8935;
export const SIOCDIFADDR = 0x8936;
export const SIOCSIFHWBROADCAST = 0x8937;
export const SIOCGIFCOUNT = 0x8938;
export const SIOCGIFBR = 0x8940;
export const SIOCSIFBR = 0x8941;
export const SIOCGIFTXQLEN = 0x8942;
export const SIOCSIFTXQLEN = 0x8943;
export const SIOCETHTOOL = 0x8946;
export const SIOCGMIIPHY = 0x8947;
export const SIOCGMIIREG = 0x8948;
export const SIOCSMIIREG = 0x8949;
export const SIOCWANDEV = 0x894a;
export const SIOCOUTQNSD = 0x894b;
export const SIOCGSKNS = 0x894c;
export const SIOCDARP = 0x8953;
export const SIOCGARP = 0x8954;
export const SIOCSARP = 0x8955;
export const SIOCDRARP = 0x8960;
export const SIOCGRARP = 0x8961;
export const SIOCSRARP = 0x8962;
export const SIOCGIFMAP = 0x8970;
export const SIOCSIFMAP = 0x8971;
export const SIOCADDDLCI = 0x8980;
export const SIOCDELDLCI = 0x8981;
export const SIOCGIFVLAN = 0x8982;
export const SIOCSIFVLAN = 0x8983;
export const SIOCBRADDBR = 0x89a0;
export const SIOCBRDELBR = 0x89a1;
export const SIOCBRADDIF = 0x89a2;
export const SIOCBRDELIF = 0x89a3;
export const SIOCSHWTSTAMP = 0x89b0;
export const SIOCGHWTSTAMP = 0x89b1;
export const SIOCPROTOPRIVATE = 0x89e0;
export const SIOCDEVPRIVATE = 0x89f0;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGPTLCK = 0x80045439;
export const TCGETS2 = 0x802c542a;
export const FS_IOC_GETFLAGS = 0x80086601;
export const FS_IOC_SETFLAGS = 0x40086602;
export const FS_IOC_FIEMAP = 0xc020660b;
export const FICLONE = 0x40049409;
export const FICLONERANGE = 0x4020940d;

/** Names of requests; strace gives both where sound and terminals share a number. A driver's own are written with _IOC. */
export const ioctlRequests: ChoiceTable = {
  prefix: "",
  values: {
    FIBMAP, FIGETBSZ, TCGETS, "SNDCTL_TMR_START or TCSETS": TCSETS, "SNDCTL_TMR_STOP or TCSETSW": TCSETSW,
    "SNDCTL_TMR_CONTINUE or TCSETSF": TCSETSF, TCGETA, TCSETA, TCSETAW, TCSETAF, TCSBRK, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL,
    TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCMGET, TIOCMBIS, TIOCMBIC, TIOCMSET,
    TIOCGSOFTCAR, TIOCSSOFTCAR, FIONREAD, TIOCLINUX, TIOCCONS, TIOCGSERIAL, TIOCSSERIAL, TIOCPKT, FIONBIO, TIOCNOTTY, TIOCSETD,
    TIOCGETD, TCSBRKP, TIOCSBRK, TIOCCBRK, TIOCGSID, TIOCGRS485, TIOCSRS485, TCGETX, TCSETX, TCSETXF, TCSETXW, TIOCVHANGUP,
    TIOCGPTPEER, FIONCLEX, FIOCLEX, FIOASYNC, TIOCSERCONFIG, TIOCSERGWILD, TIOCSERSWILD, TIOCGLCKTRMIOS, TIOCSLCKTRMIOS,
    TIOCSERGSTRUCT, TIOCSERGETLSR, TIOCSERGETMULTI, TIOCSERSETMULTI, TIOCMIWAIT, TIOCGICOUNT, FIOQSIZE, FIOSETOWN, SIOCSPGRP,
    FIOGETOWN, SIOCGPGRP, SIOCATMARK, SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD, SIOCADDRT, SIOCDELRT, SIOCRTMSG, SIOCGIFNAME,
    SIOCSIFLINK, SIOCGIFCONF, SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFADDR, SIOCSIFADDR, SIOCGIFDSTADDR, SIOCSIFDSTADDR,
    SIOCGIFBRDADDR, SIOCSIFBRDADDR, SIOCGIFNETMASK, SIOCSIFNETMASK, SIOCGIFMETRIC, SIOCSIFMETRIC, SIOCGIFMEM, SIOCSIFMEM,
    SIOCGIFMTU, SIOCSIFMTU, SIOCSIFNAME, SIOCSIFHWADDR, SIOCGIFENCAP, SIOCSIFENCAP, SIOCGIFHWADDR, SIOCGIFSLAVE, SIOCSIFSLAVE,
    SIOCADDMULTI, SIOCDELMULTI, SIOCGIFINDEX, SIOCSIFPFLAGS, SIOCGIFPFLAGS, SIOCDIFADDR, SIOCSIFHWBROADCAST, SIOCGIFCOUNT,
    SIOCGIFBR, SIOCSIFBR, SIOCGIFTXQLEN, SIOCSIFTXQLEN, SIOCETHTOOL, SIOCGMIIPHY, SIOCGMIIREG, SIOCSMIIREG, SIOCWANDEV,
    SIOCOUTQNSD, SIOCGSKNS, SIOCDARP, SIOCGARP, SIOCSARP, SIOCDRARP, SIOCGRARP, SIOCSRARP, SIOCGIFMAP, SIOCSIFMAP, SIOCADDDLCI,
    SIOCDELDLCI, SIOCGIFVLAN, SIOCSIFVLAN, SIOCBRADDBR, SIOCBRDELBR, SIOCBRADDIF, SIOCBRDELIF, SIOCSHWTSTAMP, SIOCGHWTSTAMP,
    SIOCPROTOPRIVATE, SIOCDEVPRIVATE, TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FIEMAP, FICLONE,
    FICLONERANGE, TCGETS2,
  },
  aliases: { TCSETS, TCSETSW, TCSETSF, TIOCINQ: FIONREAD, SIOCINQ: FIONREAD, SIOCOUTQ: TIOCOUTQ },
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
