/** A run's rows as an SVG picture: lines, points or bars over one axis; plain text, no browser needed. */
import type { BenchmarkChart, BenchmarkRow } from "./core.ts";

const WIDTH = 800;
const HEIGHT = 480;
const LEFT = 84;
const RIGHT = 24;
const TOP = 48;
const BOTTOM = 64;
const COLORS = ["#3366cc", "#dc3912", "#109618", "#ff9900", "#990099", "#0099c6", "#dd4477", "#66aa00", "#b82e2e", "#316395"];
const MAX_SERIES = 24;

interface Point {
  x: number | string;
  y: number;
}

interface Series {
  name: string;
  points: Point[];
}

interface Scale {
  at(value: number): number;
  ticks: number[];
}

export function drawChart(title: string, chart: BenchmarkChart, rows: BenchmarkRow[], unit: string): string {
  const series = seriesOf(chart, rows);
  const points = series.flatMap((one) => one.points);
  const frame = [`<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`, text(WIDTH / 2, 26, title, "middle", 16)];
  if (points.length === 0) return svg([...frame, text(WIDTH / 2, HEIGHT / 2, "no rows yet", "middle", 14)]);
  const ys = scale(points.map((point) => point.y), HEIGHT - BOTTOM, TOP, chart.logY === true, chart.kind === "bar");
  const categorical = chart.kind === "bar" || points.some((point) => typeof point.x === "string");
  const body = categorical ? drawBars(series, ys) : drawPoints(series, ys, chart);
  const yAxis = ys.ticks.map((tick) => `${line(LEFT, ys.at(tick), WIDTH - RIGHT, ys.at(tick), "#dddddd")}${text(LEFT - 8, ys.at(tick) + 4, number(tick), "end")}`);
  const names = [text(WIDTH / 2, HEIGHT - 14, chart.x, "middle"), `<g transform="rotate(-90)">${text(-HEIGHT / 2, 18, unit === "" ? chart.y.join(", ") : `${chart.y.join(", ")} (${unit})`, "middle")}</g>`];
  return svg([...frame, ...yAxis, ...body, line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, "#333333"), line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#333333"), ...names, ...legend(series)]);
}

function seriesOf({ x, y, series }: BenchmarkChart, rows: BenchmarkRow[]): Series[] {
  const found = new Map<string, Series>();
  for (const row of rows) {
    for (const column of y) {
      const place = row[x];
      const value = row[column];
      if (typeof value !== "number" || place === undefined || place === null) continue;
      const name = [series === undefined ? [] : [String(row[series])], y.length > 1 ? [column] : []].flat().join(" ");
      if (!found.has(name) && found.size >= MAX_SERIES) continue;
      const one = found.get(name) ?? { name, points: [] };
      found.set(name, one);
      one.points.push({ x: typeof place === "number" ? place : String(place), y: value });
    }
  }
  return [...found.values()];
}

/** A scale from values to pixels, with round ticks. */
function scale(values: number[], from: number, to: number, log: boolean, fromZero: boolean): Scale {
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  if (log && low > 0) {
    const first = Math.floor(Math.log10(low));
    const last = Math.max(first + 1, Math.ceil(Math.log10(high)));
    const ticks = Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
    return { ticks, at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from) };
  }
  const begin = fromZero || (low > 0 && low < high / 2) ? Math.min(0, low) : low;
  const step = roundStep((high - begin || Math.abs(high) || 1) / 6);
  const first = Math.floor(begin / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
  return { ticks, at: (value) => from + ((value / step - first) / (last - first)) * (to - from) };
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10);
}

function drawPoints(series: Series[], ys: Scale, chart: BenchmarkChart): string[] {
  const xs = scale(series.flatMap((one) => one.points.map((point) => Number(point.x))), LEFT, WIDTH - RIGHT, chart.logX === true, false);
  const axis = xs.ticks.map((tick) => `${line(xs.at(tick), HEIGHT - BOTTOM, xs.at(tick), HEIGHT - BOTTOM + 5, "#333333")}${text(xs.at(tick), HEIGHT - BOTTOM + 20, number(tick), "middle")}`);
  const drawn = series.map(({ points }, at) => {
    const places = [...points].sort((a, b) => Number(a.x) - Number(b.x)).map((point) => [pixel(xs.at(Number(point.x))), pixel(ys.at(point.y))]);
    const marks = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${color(at)}"/>`).join("");
    if (chart.kind === "scatter") return marks;
    return `<polyline fill="none" stroke="${color(at)}" stroke-width="2" points="${places.map((place) => place.join(",")).join(" ")}"/>${marks}`;
  });
  return [...axis, ...drawn];
}

function drawBars(series: Series[], ys: Scale): string[] {
  const categories = [...new Set(series.flatMap((one) => one.points.map((point) => String(point.x))))];
  const room = (WIDTH - LEFT - RIGHT) / categories.length;
  const width = (room * 0.8) / series.length;
  const base = ys.at(Math.max(0, ys.ticks[0]!));
  const bars = series.flatMap(({ points }, at) => points.map((point) => {
    const x = LEFT + categories.indexOf(String(point.x)) * room + room * 0.1 + at * width;
    const y = ys.at(point.y);
    return `<rect x="${pixel(x)}" y="${pixel(Math.min(y, base))}" width="${pixel(width)}" height="${pixel(Math.abs(base - y))}" fill="${color(at)}"/>`;
  }));
  const every = Math.ceil(categories.length / 16);
  const names = categories.map((name, at) => (at % every === 0 ? text(LEFT + (at + 0.5) * room, HEIGHT - BOTTOM + 20, name.slice(0, 16), "middle") : ""));
  return [...bars, ...names];
}

function legend(series: Series[]): string[] {
  if (series.length < 2) return [];
  return series.map(({ name }, at) =>
    `<rect x="${WIDTH - RIGHT - 150}" y="${TOP + at * 18}" width="12" height="12" fill="${color(at)}"/>${text(WIDTH - RIGHT - 132, TOP + at * 18 + 10, name.slice(0, 24), "start")}`);
}

function color(at: number): string {
  return COLORS[at % COLORS.length]!;
}

function pixel(value: number): string {
  return value.toFixed(1);
}

/** 1200 → 1.2k */
function number(value: number): string {
  const size = Math.abs(value);
  for (const [unit, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) if (size >= unit) return `${Number((value / unit).toPrecision(4))}${suffix}`;
  return String(Number(value.toPrecision(4)));
}

function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<line x1="${pixel(x1)}" y1="${pixel(y1)}" x2="${pixel(x2)}" y2="${pixel(y2)}" stroke="${stroke}"/>`;
}

function text(x: number, y: number, words: string, anchor: "start" | "middle" | "end", size = 12): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}" font-family="sans-serif" font-size="${size}" text-anchor="${anchor}" fill="#222222">${escape(words)}</text>`;
}

function escape(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function svg(parts: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">${parts.join("")}</svg>\n`;
}
