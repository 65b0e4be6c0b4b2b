/** siginfo_t and si_code, which stand in signal.ts. */
export * from "./signal.ts";
