/** Device numbers: 12 bits of major and 20 of minor, packed one way in the kernel and another in what user space sees. */

export const MINORBITS = 20;
export const MINORMASK = 0xfffff;

/** The kernel's own dev_t, as in inodes and in register_chrdev_region: major above 20 bits of minor. */
export const MKDEV = (major: number, minor: number): number => ((major << MINORBITS) | minor) >>> 0;
export const MAJOR = (dev: number): number => dev >>> MINORBITS;
export const MINOR = (dev: number): number => dev & MINORMASK;

/** The disk that swap lies on (virtblk). */
export const VDA = MKDEV(254, 0);

/** What user space gets in st_dev and st_rdev: the low byte of the minor, then the major, then the rest of the minor. */
export function newEncodeDev(dev: number): number {
  const minor = MINOR(dev);
  return ((minor & 0xff) | (MAJOR(dev) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The kernel's dev_t of a number that user space passed to mknod(2). */
export function newDecodeDev(dev: number): number {
  return MKDEV((dev & 0xfff00) >>> 8, (dev & 0xff) | ((dev >>> 12) & 0xfff00));
}
