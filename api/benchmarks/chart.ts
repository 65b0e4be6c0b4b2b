/** A run's rows as an SVG picture, drawn by ECharts without a browser: lines, points or bars over one axis. */
import { BarChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { BenchmarkChart, BenchmarkRow } from "./core.ts";

use([BarChart, LineChart, ScatterChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const SIZE = { width: 800, height: 480 };
const MAX_SERIES = 24;

interface Series {
  name: string;
  points: [x: number | string, y: number][];
}

/** The picture of all rows; without rows, the title says so. */
export function drawChart(title: string, chart: BenchmarkChart, rows: BenchmarkRow[], unit: string): string {
  const series = seriesOf(chart, rows);
  const categorical = chart.kind === "bar" || series.some(({ points }) => points.some(([x]) => typeof x === "string"));
  const picture = init(null, null, { renderer: "svg", ssr: true, ...SIZE });
  picture.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, subtext: series.length === 0 ? "no rows yet" : "", left: "center" },
    legend: { show: series.length > 1, bottom: 0, type: "scroll" },
    grid: { left: 90, right: 40, top: 60, bottom: 80 },
    xAxis: {
      name: chart.x, nameLocation: "middle", nameGap: 30,
      ...(categorical ? { type: "category", data: categoriesOf(series) } : { type: chart.logX === true ? "log" : "value", min: "dataMin", max: "dataMax" }),
    },
    yAxis: { name: unit === "" ? chart.y.join(", ") : `${chart.y.join(", ")} (${unit})`, type: chart.logY === true ? "log" : "value" },
    series: series.map(({ name, points }) => ({
      name, type: categorical ? "bar" : chart.kind,
      data: categorical ? points.map(([x, y]) => [String(x), y]) : [...points].sort(([a], [b]) => Number(a) - Number(b)),
    })),
  });
  const svg = picture.renderToSVGString();
  picture.dispose();
  return svg;
}

function categoriesOf(series: Series[]): string[] {
  return [...new Set(series.flatMap(({ points }) => points.map(([x]) => String(x))))];
}

function seriesOf({ x, y, series }: BenchmarkChart, rows: BenchmarkRow[]): Series[] {
  const found = new Map<string, Series>();
  for (const row of rows) {
    for (const column of y) {
      const place = row[x];
      const value = row[column];
      if (typeof value !== "number" || place === undefined || place === null) continue;
      const name = [...(series === undefined ? [] : [String(row[series])]), ...(y.length > 1 || series === undefined ? [column] : [])].join(" ");
      if (!found.has(name) && found.size >= MAX_SERIES) continue;
      const one = found.get(name) ?? { name, points: [] };
      found.set(name, one);
      one.points.push([typeof place === "number" ? place : String(place), value]);
    }
  }
  return [...found.values()];
}
