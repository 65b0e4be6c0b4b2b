/** insmod and rmmod of kmod, as the module routes run them, and writing a module's parameter. */
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } from "../abi/fcntl.ts";
import { EAGAIN, ENOENT } from "../abi/errno.ts";
import { MODULES_DIRECTORY } from "../abi/release.ts";
import { utf8Encode } from "../lib/bytes.ts";
import type { Json } from "../input.ts";
import { insmodFailed, insmodNoFile, rmmodCheck, rmmodFailed } from "../module/messages.ts";
import { VARIANTS } from "../module/definition.ts";
import { NEXT, steps, to } from "../sched/steps.ts";
import { complain, cstr, program, setValue, sysWith } from "./program.ts";
import { sys } from "../syscalls/enter.ts";

interface InsmodLocals {
  name: string;
  variant: string;
  params: string;
  fd: number;
  result: number;
}

const insmod = steps<InsmodLocals>("insmod", {
  open: (k, task, frame) => {
    const { name, variant } = frame.locals;
    return sysWith(k, task, frame, "openat", [AT_FDCWD, cstr(`${MODULES_DIRECTORY}/${variant}/${name}.ko`), O_RDONLY | O_CLOEXEC, 0]);
  },
  opened: (_k, task, frame) => {
    const fd = Number(frame.ret);
    if (fd < 0) {
      complain(task, insmodNoFile(`${frame.locals.name}.ko`, -fd));
      return fd;
    }
    frame.locals.fd = fd;
    return NEXT;
  },
  insert: (k, task, frame) => sysWith(k, task, frame, "finit_module", [frame.locals.fd, cstr(frame.locals.params), 0]),
  inserted: (k, task, frame) => {
    const { name } = frame.locals;
    frame.locals.result = Number(frame.ret);
    if (frame.locals.result < 0) complain(task, insmodFailed(`${name}.ko`, -frame.locals.result));
    setValue(task, { name, symbols: frame.locals.result === -ENOENT });
    return sys(k, task, frame, "close", [frame.locals.fd]);
  },
  end: (_k, _task, { locals }) => locals.result,
});

program("insmod", insmod, ({ name, variant, params }) => {
  if (typeof name !== "string" || !/^[A-Za-z0-9_-]{1,55}$/.test(name)) return "name takes a module's name";
  const chosen = variant ?? "corrected";
  if (!VARIANTS.some((known) => known === chosen)) return `variant is one of ${VARIANTS.join(", ")}`;
  const text = parameterText(params);
  if (text === undefined) return "params takes an object of values or a string";
  const locals: InsmodLocals = { name: name.replaceAll("-", "_"), variant: String(chosen), params: text, fd: -1, result: 0 };
  return locals;
});

/** Parameters as insmod gives them to the kernel: `port=8080 bench=1`; values with blanks in double quotes. */
function parameterText(params: Json | undefined): string | undefined {
  if (params === undefined || params === null) return "";
  if (typeof params === "string") return params;
  if (typeof params !== "object" || Array.isArray(params)) return undefined;
  const words: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    const text = parameterValue(value);
    if (text === undefined) return undefined;
    words.push(/\s/.test(text) ? `${name}="${text}"` : `${name}=${text}`);
  }
  return words.join(" ");
}

/** One value: booleans as Y and N, arrays joined by commas. */
function parameterValue(value: Json): string | undefined {
  if (typeof value === "boolean") return value ? "Y" : "N";
  if (typeof value === "number" || typeof value === "string") return String(value);
  if (!Array.isArray(value)) return undefined;
  const parts = value.map(parameterValue);
  return parts.includes(undefined) ? undefined : parts.join(",");
}

const rmmod = steps<{ name: string }>("rmmod", {
  remove: (k, task, frame) => {
    const checked = rmmodCheck(k, frame.locals.name);
    if ("error" in checked) {
      complain(task, checked.error);
      const loaded = k.state.modules.loaded.has(frame.locals.name.replaceAll("-", "_"));
      return loaded ? -EAGAIN : -ENOENT;
    }
    return sysWith(k, task, frame, "delete_module", [cstr(checked.name), O_NONBLOCK]);
  },
  removed: (_k, task, frame) => {
    const result = Number(frame.ret);
    if (result < 0) complain(task, rmmodFailed(frame.locals.name, -result));
    return result;
  },
});

program("rmmod", rmmod, ({ name }) => (typeof name === "string" ? { name } : "name takes a module's name"));

interface ParameterLocals {
  module: string;
  parameters: [string, string][];
  next: number;
  fd: number;
  result: number;
}

const setParameters = steps<ParameterLocals>("setParameters", {
  open: (k, task, frame) => {
    const { module, parameters, next } = frame.locals;
    if (next === parameters.length) return 0;
    const path = `/sys/module/${module}/parameters/${parameters[next][0]}`;
    return sysWith(k, task, frame, "openat", [AT_FDCWD, cstr(path), O_WRONLY | O_TRUNC, 0]);
  },
  opened: (_k, _task, frame) => {
    if (Number(frame.ret) < 0) return frame.ret;
    frame.locals.fd = Number(frame.ret);
    return NEXT;
  },
  write: (k, task, frame) => {
    const bytes = utf8Encode(`${frame.locals.parameters[frame.locals.next][1]}\n`);
    return sysWith(k, task, frame, "write", [frame.locals.fd, { bytes }, bytes.length]);
  },
  written: (k, task, frame) => {
    frame.locals.result = Number(frame.ret);
    return sys(k, task, frame, "close", [frame.locals.fd]);
  },
  closed: (_k, _task, frame) => {
    if (frame.locals.result < 0) return frame.locals.result;
    frame.locals.next++;
    return to("open");
  },
});

program("setParameters", setParameters, ({ module, parameters }) => {
  if (typeof module !== "string") return "module takes a module's name";
  if (typeof parameters !== "object" || parameters === null || Array.isArray(parameters)) return "parameters takes an object";
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const text = parameterValue(value);
    if (text === undefined || name.includes("/")) return `${name} takes a number, a boolean, a string or an array of these`;
    pairs.push([name, text]);
  }
  const locals: ParameterLocals = { module, parameters: pairs, next: 0, fd: -1, result: 0 };
  return locals;
});
