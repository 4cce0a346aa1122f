import { expect, test } from "bun:test";
import { picture } from "../../bench/picture.ts";
import { element, text } from "../../bench/svg.ts";
import { evaluation, stepMetrics } from "../helpers/run-records.ts";

const steps = Array.from({ length: 10 }, (_, i) =>
  stepMetrics(i + 1, { stage: i < 5 ? "stage1" : "stage2", em: i / 9 }),
);
const evaluations = [
  evaluation("base", 0, 0),
  evaluation("base", 3, 0.5),
  evaluation("stage2", 0, 0.98, { step: 10 }),
  evaluation("stage2", 3, 1, { step: 10 }),
];

test("the picture labels each bar with its figure and draws it to scale", () => {
  const drawn = picture({ steps, evaluations });
  for (const label of ["0.000", "0.500", "0.980", "1.000"])
    expect(drawn).toContain(`>${label}</text>`);
  const heights = [...drawn.matchAll(/width="32" height="([\d.]+)"/g)].map(([, value]) =>
    Number(value),
  );
  // Base and last stage side by side: 0 demonstrations, then 3. The axis is 228 high.
  expect(heights.map((height) => Math.round((100 * height) / 228))).toEqual([0, 98, 50, 100]);
});

test("the picture is one well-formed document that says what was measured", () => {
  const drawn = picture({ steps, evaluations });
  const opened = drawn.match(/<[a-z]+[^>]*[^/]>/g)!.length;
  expect(drawn.match(/<\/[a-z]+>/g)).toHaveLength(opened);
  expect(drawn).not.toContain("NaN");
  expect(drawn).toContain("One run: 10 steps of 128 rollouts; 200 held-out questions");
});

test("text in a picture cannot become markup", () => {
  expect(text(1, 2, `<b> & "c"`)).toBe(`<text x="1" y="2">&lt;b&gt; &amp; &quot;c&quot;</text>`);
  expect(element("g", { id: `"><script>` })).toBe(`<g id="&quot;&gt;&lt;script&gt;"/>`);
});
