/** What the INFO commands of msgctl and semctl answer. */
import { layout } from "../abi/layout.ts";

/** struct msginfo */
export const msgInfoLayout = layout(32, {
  msgpool: [0, "i32"], msgmap: [4, "i32"], msgmax: [8, "i32"], msgmnb: [12, "i32"], msgmni: [16, "i32"], msgssz: [20, "i32"],
  msgtql: [24, "i32"], msgseg: [28, "u16"],
});

/** struct seminfo */
export const semInfoLayout = layout(40, {
  semmap: [0, "i32"], semmni: [4, "i32"], semmns: [8, "i32"], semmnu: [12, "i32"], semmsl: [16, "i32"], semopm: [20, "i32"],
  semume: [24, "i32"], semusz: [28, "i32"], semvmx: [32, "i32"], semaem: [36, "i32"],
});
