/** The Accept header: which of the forms that a route has the caller likes best. */

interface Range {
  type: string;
  quality: number;
  /** The more a range says, the more it counts. */
  precision: number;
}

function rangesOf(header: string): Range[] {
  return header.split(",").map((part) => {
    const [type = "", ...parameters] = part.split(";").map((word) => word.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const quality = q === undefined ? 1 : Number(q.slice(2));
    return { type, quality: Number.isFinite(quality) ? quality : 0, precision: type === "*/*" ? 0 : type.endsWith("/*") ? 1 : 2 };
  });
}

function qualityOf(offer: string, ranges: Range[]): number {
  const fits = ranges.filter(({ type }) => type === "*/*" || type === offer || (type.endsWith("/*") && offer.startsWith(type.slice(0, -1))));
  return fits.sort((a, b) => b.precision - a.precision)[0]?.quality ?? 0;
}

/** The best of `offers`; the first one where the header has no wish, or none that can be met. */
export function negotiate(header: string | undefined, offers: string[]): string {
  let best = offers[0]!;
  if (header === undefined || header === "*/*") return best;
  const ranges = rangesOf(header);
  let quality = qualityOf(best, ranges);
  for (const offer of offers.slice(1)) {
    const its = qualityOf(offer, ranges);
    if (its > quality) [best, quality] = [offer, its];
  }
  return best;
}
