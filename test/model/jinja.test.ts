import { expect, test } from "bun:test";
import { compileTemplate } from "../../src/model/jinja.ts";
import golden from "../golden/jinja.json";

for (const [name, { template, text }] of Object.entries(golden.templates)) {
  test(`${name}: rendered as transformers renders it`, () => {
    expect(compileTemplate(template)(golden.variables)).toBe(text);
  });
}

test("a template renders again with other variables", () => {
  const render = compileTemplate("{% set x = a %}{{ x }}");
  expect([render({ a: 1 }), render({ a: 2 })]).toEqual(["1", "2"]);
});

test("the date is the same every day", () => {
  const render = compileTemplate("{{ strftime_now('%d %b %Y, %B %m %H:%M:%S %%') }}");
  expect(render({})).toBe("26 Jul 2024, July 07 00:00:00 %");
});

const REFUSED = [
  ["{{ raise_exception('only one system message') }}", "only one system message"],
  ["{% for i in range(1000000000) %}x{% endfor %}", "range() of 1000000000 numbers"],
  ["{{ range(1, 9, 0) }}", "range() step must not be zero"],
  ["{% for x in %}", "Unexpected token"],
  ["{{ f | tojson }}", "a value of type FunctionValue has no JSON"],
] as const;
for (const [template, message] of REFUSED) {
  test(`${template} throws: ${message}`, () => {
    expect(() => compileTemplate(template)({ f: () => 1 })).toThrow(message);
  });
}
