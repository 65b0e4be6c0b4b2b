/** Modules as the service shows them: what can be inserted, what is loaded, and kmod's own texts. */
import type { Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { moduleDefinitions, VARIANTS, type ModuleDefinition, type ParamSpec, type ParamValue, type Variant } from "./definition.ts";
import { kernfsOrder } from "../fs/sysfs/order.ts";
import { moduleFilePath } from "./files.ts";
import { lsmodText } from "./messages.ts";
import { modinfoLines, modinfoText } from "./modinfo.ts";
import { coreSize, definitionOf, variantOf } from "./query.ts";
import type { Module } from "./state.ts";

export interface ParamView {
  name: string;
  type: string;
  description: string;
  /** Octal permissions of its file, "0" for none. */
  perm: string;
  default: Json;
}

export interface CatalogueEntry {
  name: string;
  license: string;
  version: string;
  description: string;
  authors: string[];
  depends: string[];
  params: ParamView[];
  exports: string[];
  variants: { variant: Variant; defects: string[] }[];
}

export interface LoadedModule {
  name: string;
  variant: Variant;
  defects: string[];
  state: "coming" | "live" | "going";
  size: number;
  refcount: number;
  usedBy: string[];
  params: { [name: string]: Json };
}

function paramJson(value: ParamValue): Json {
  if (Array.isArray(value)) return value.map((item) => paramJson(item) as string | number);
  return typeof value === "bigint" ? value.toString() : value;
}

function paramView({ name, type, description, perm, default: value, array }: ParamSpec): ParamView {
  return {
    name, type: array === undefined ? type : `array of ${type}`, description: description ?? "", perm: `0${perm.toString(8)}`, default: paramJson(value),
  };
}

function entryOf(definition: ModuleDefinition): CatalogueEntry {
  const { name, license, version, description, author, depends, params, exports, variants } = definition;
  return {
    name, license, version: version ?? "", description: description ?? "", authors: author ?? [], depends: [...depends],
    params: params.map(paramView), exports: exports.map((symbol) => symbol.name),
    variants: VARIANTS.flatMap((variant) => {
      const build = variants[variant];
      return build === undefined ? [] : [{ variant, defects: [...build.defects] }];
    }),
  };
}

/** Everything under /lib/modules, by name; modules of the tests are not told. */
export function moduleCatalogue(): CatalogueEntry[] {
  return [...moduleDefinitions.values()].filter(({ hidden }) => hidden !== true).sort((a, b) => (a.name < b.name ? -1 : 1)).map(entryOf);
}

/** modinfo's text for one build of a module; null when there is none of that name. */
export function modinfo(name: string, variant: Variant = "corrected"): string | null {
  const definition = moduleDefinitions.get(name.replaceAll("-", "_"));
  if (definition?.variants[variant] === undefined) return null;
  return modinfoText(moduleFilePath(definition.name, variant), modinfoLines(definition));
}

function loadedView(module: Module): LoadedModule {
  const { name, variant, state, refcount, holders, params } = module;
  return {
    name, variant, defects: [...variantOf(module).defects], state, size: coreSize(module), refcount, usedBy: kernfsOrder(holders),
    params: Object.fromEntries(definitionOf(module).params.map((spec) => [spec.name, paramJson(params[spec.name] ?? spec.default)])),
  };
}

/** Loaded modules, the newest first, as lsmod lists them. */
export function moduleList(k: Kernel): LoadedModule[] {
  return [...k.state.modules.loaded.values()].reverse().map(loadedView);
}

/** One loaded module; null when it is not. */
export function moduleView(k: Kernel, name: string): LoadedModule | null {
  const module = k.state.modules.loaded.get(name.replaceAll("-", "_"));
  return module === undefined ? null : loadedView(module);
}

export { lsmodText as lsmod };
