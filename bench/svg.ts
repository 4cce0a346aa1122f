// SVG as nested text: enough for a chart, nothing more. Pure.

export type Attributes = Readonly<Record<string, string | number>>;

/** `<name a="1">children</name>`. Children are SVG already; text goes through `text`. */
export function element(
  name: string,
  attributes: Attributes,
  children: readonly string[] = [],
): string {
  const head = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escape(typeof value === "number" ? short(value) : value)}"`)
    .join("");
  return children.length === 0
    ? `<${name}${head}/>`
    : `<${name}${head}>${children.join("")}</${name}>`;
}

export const text = (x: number, y: number, content: string, attributes: Attributes = {}): string =>
  element("text", { x, y, ...attributes }, [escape(content)]);

export const line = (
  from: readonly [number, number],
  to: readonly [number, number],
  attributes: Attributes,
): string => element("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], ...attributes });

/** A line through points. */
export const path = (
  points: readonly (readonly [number, number])[],
  attributes: Attributes,
): string => {
  const d = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${short(x)} ${short(y)}`).join("");
  return element("path", { d, fill: "none", ...attributes });
};

/** A whole document on a white card, so that it reads on a dark page too. */
export function svg(width: number, height: number, children: readonly string[]): string {
  const card = { width, height, rx: 8, fill: "#ffffff" };
  const font = { "font-family": "system-ui, sans-serif", "font-size": 13, fill: "#2b3137" };
  const body = element("g", font, children);
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const root = { xmlns: "http://www.w3.org/2000/svg", ...size };
  return `${element("svg", root, [element("rect", card), body])}\n`;
}

const short = (value: number): string => String(Math.round(value * 100) / 100);

const escape = (content: string): string =>
  content
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
