/** A kernel for tests of modules: modules go in and out by system calls, and the log is read line by line. */
import { CoreMachine } from "../../helpers/core.ts";
import type { CallAnswer, Json, MachineOptions } from "../../../core/input.ts";
import { moduleDefinitions, type Variant } from "../../../core/module/definition.ts";
import { moduleImage } from "../../../core/module/image.ts";
import { levelName } from "./recorded.ts";

export interface Outcome {
  ret: number | string;
  errno: string | null;
  answer: CallAnswer;
}

export class Lab {
  readonly machine: CoreMachine;
  pid = 0;
  private seen = 0;

  private constructor(machine: CoreMachine) {
    this.machine = machine;
  }

  /** A booted kernel with a root process; the boot's own lines count as read. */
  static async boot(options: MachineOptions = {}): Promise<Lab> {
    const lab = new Lab(new CoreMachine(options));
    lab.pid = await lab.machine.createProcess(0);
    lab.dmesg();
    return lab;
  }

  call(name: string, args: Json = {}, pid = this.pid): Outcome {
    const answer = this.machine.callNow(pid, name, args);
    if (answer.state !== "returned" || !("ret" in answer)) return { ret: answer.state, errno: null, answer };
    return { ret: answer.ret as number | string, errno: (answer.errno ?? null) as string | null, answer };
  }

  /** Loads the bytes of a .ko with init_module(2). */
  insert(image: Uint8Array, params = "", pid = this.pid): Outcome {
    return this.call("init_module", { module_image: { base64: Buffer.from(image).toString("base64") }, param_values: params }, pid);
  }

  /** Loads a module by name. */
  insmod(name: string, params = "", variant: Variant = "corrected"): Outcome {
    const definition = moduleDefinitions.get(name);
    if (definition === undefined) throw new Error(`no module ${name}`);
    return this.insert(moduleImage(definition, variant), params);
  }

  rmmod(name: string, flags = "O_NONBLOCK", pid = this.pid): Outcome {
    return this.call("delete_module", { name, flags }, pid);
  }

  /** Lines logged since the last look: level name and text. */
  dmesg(): [string, string][] {
    const { records, nextSequence } = this.machine.kernel.state.log;
    const fresh = records.filter(({ sequence }) => sequence >= this.seen);
    this.seen = nextSequence;
    return fresh.map(({ level, text }) => [levelName(level), text]);
  }

  /** A file of the kernel's own file systems, as root or another sees it. */
  text(path: string, uid = 0): string {
    return this.machine.text(path, uid);
  }
}
