/** Errors in the place of pointers (include/linux/err.h): the last 4095 addresses are negative errnos. */

const MAX_ERRNO = 4095n;
const mask = (address: bigint): bigint => BigInt.asUintN(64, address);

/** The pointer that a negative errno is. */
export const ERR_PTR = (error: number): bigint => mask(BigInt(error));
export const PTR_ERR = (pointer: bigint): number => Number(BigInt.asIntN(64, pointer));
export const IS_ERR = (pointer: bigint): boolean => mask(pointer) >= mask(-MAX_ERRNO);
export const IS_ERR_OR_NULL = (pointer: bigint): boolean => pointer === 0n || IS_ERR(pointer);
