/** What the report's builds of the three modules do wrong, a sentence each, as the service lists it. */

export const ksocketDefects: string[] = [
  "ksocket() and kaccept() lose the errno: every failure is NULL.",
  "kgetpeername() tells the own address, and kgetsockopt() is never there (ENOSYS).",
  "inet_addr() checks nothing: text that is no address gives whatever lay on the stack.",
  "With BONUS, FASYNC is set in the socket's flags word, where nothing reads it: no SIGIO ever comes.",
];

const common: string[] = [
  "Sockets are globals: a second CREATESOCK takes the place of the first connection, and two users' bytes mix.",
  "CREATESOCK fails with EPERM whatever the reason, also when a signal comes.",
  "EXIT, reading or writing without a connection dereferences NULL: the process is killed and the module stays in use.",
  "Closing the device does not close its connection.",
  "O_NONBLOCK is ignored.",
  "Errors of copying are ENOMEM instead of EFAULT.",
  "An unknown ioctl answers 0 instead of ENOTTY.",
  "mmap maps as much as is asked for, and with it memory behind the buffer.",
  "The buffer of an open is not cleared: it shows what the last one held.",
];

export const masterDefects: string[] = [
  ...common,
  "write copies into an array of 512 bytes without a check: more is caught by the hardened copy and answers ENOMEM.",
  "write ignores what the send says: it answers the count though nothing was sent, and SIGPIPE comes from inside it.",
  "MMAP sends as many bytes as is asked for, beyond the buffer too.",
  "A socket that cannot be made or bound fails the insmod with EPERM and leaves the device and its debugfs file behind.",
  "SO_REUSEADDR is not set: for a minute after a transfer the port cannot be bound again.",
];

export const slaveDefects: string[] = [
  ...common,
  "read receives into an array of 512 bytes without a check: more corrupts the stack.",
  "read takes a failed receive for a length, and answers ENOMEM.",
  "MMAP receives once: what comes late is left for the next call, and more than the buffer holds is written behind it.",
  "A read of no bytes waits for the next ones.",
];

/** The sample that was handed out: no mmap, and every unknown ioctl prints a page descriptor. */
export const sampleDefects: string[] = [
  "There is no mmap (ENODEV), and ioctl MMAP answers EINVAL.",
  "Every unknown ioctl is taken for \"print the page descriptor\".",
  ...common.filter((line) => !line.startsWith("An unknown ioctl") && !line.startsWith("mmap maps") && !line.startsWith("The buffer")),
];

export const sampleSlaveDefects: string[] = [
  ...sampleDefects,
  "read receives 512 bytes whatever is asked for, and writes all of them to the caller.",
  "CREATESOCK renames the caller to ksktcli.",
];
