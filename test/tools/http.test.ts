import { describe, expect, test } from "bun:test";
import { type ParameterSchemas, specOf } from "../../src/tools/arguments.ts";
import { type HttpOptions, HttpTool } from "../../src/tools/http.ts";
import { callTool } from "../../src/tools/tool.ts";
import { serveHttp } from "../helpers/http-server.ts";

const POLICY = { deadlineMs: 10_000, retries: 2, backoffMs: 1 };
const cityAndDays: ParameterSchemas = {
  city: { type: "string" },
  days: { type: "integer", default: 1 },
};
const variables: Readonly<Record<string, string>> = { KEY: "secret {city}" };

async function ask(
  input: string,
  options: Partial<HttpOptions>,
  answer: () => Response = () => new Response("fine"),
  parameters: ParameterSchemas | undefined = cityAndDays,
) {
  using server = serveHttp(answer);
  const { url: path = "", ...rest } = options;
  const all = { method: "GET", headers: {}, query: {}, maxBytes: 1 << 20, ...rest };
  const url = server.url + path;
  const spec = specOf("Weather.", parameters);
  const tool = new HttpTool("weather", spec, { ...all, url }, (name) => variables[name]!);
  const { result, attempts } = await callTool(tool, input, POLICY);
  return { result, attempts, asked: server.asked[0], identity: JSON.stringify(tool.identity) };
}

const ORN = '{"city": "Orn & Söhne/?{days}", "days": 3}';

describe("parameters are put in, encoded for their place", () => {
  test("path and query", async () => {
    const query = { q: "in {city}", days: "{days}", key: "${KEY}" };
    const { asked } = await ask(ORN, { url: "v1/{city}/now", query });
    expect(asked!.path).toBe(`/v1/${encodeURIComponent("Orn & Söhne/?{days}")}/now`);
    expect(asked!.query).toEqual({
      q: "in Orn & Söhne/?{days}",
      days: "3",
      key: "secret {city}",
    });
  });

  test("a body that is JSON keeps types, and a text alone is the value itself", async () => {
    const note = "for {days} days";
    const body = { place: { name: "{city}" }, days: "{days}", note, all: [true] };
    const { asked } = await ask(ORN, { method: "POST", body });
    expect(asked!.headers.get("content-type")).toBe("application/json");
    const place = { name: "Orn & Söhne/?{days}" };
    expect(JSON.parse(asked!.body)).toEqual({ place, days: 3, note: "for 3 days", all: [true] });
  });

  test("a body that is a text", async () => {
    const { asked } = await ask(ORN, { method: "PUT", body: "<days>{days}</days>" });
    expect([asked!.method, asked!.body]).toEqual(["PUT", "<days>3</days>"]);
  });

  test("headers take the environment's variables, which are in no recording", async () => {
    const { asked, identity } = await ask(ORN, { headers: { authorization: "Bearer ${KEY}" } });
    expect(asked!.headers.get("authorization")).toBe("Bearer secret {city}");
    expect(identity).not.toContain("secret");
  });

  test("what is left out has its default, or is left out of the query", async () => {
    const optional = { ...cityAndDays, unit: { type: "string", default: undefined } };
    const query = { days: "{days}" };
    const { asked } = await ask('{"city": "Orn"}', { query }, undefined, cityAndDays);
    expect(asked!.query).toEqual({ days: "1" });
    expect(specOf("", optional).parameters["required"]).toEqual(["city", "unit"]);
  });

  test("a bare text is the only parameter", async () => {
    const query = { q: "{city}" };
    const { asked } = await ask(" Orn ", { query }, undefined, { city: { type: "string" } });
    expect(asked!.query).toEqual({ q: "Orn" });
  });
});

describe("of the answer the policy reads", () => {
  const answer = () => Response.json({ data: [{ text: " sunny\n" }, { value: 3.5 }], none: null });
  const table: readonly [claim: string, result: string | undefined, text: string][] = [
    ["all of it", undefined, '{"data":[{"text":" sunny\\n"},{"value":3.5}],"none":null}'],
    ["the text at a path", "data.0.text", "sunny"],
    ["a number at a path", "data.1.value", "3.5"],
    ["a part at a path, as JSON", "data.1", '{"value":3.5}'],
  ];
  test.each(table)("%s", async (_claim, result, text) => {
    expect((await ask(ORN, { result }, answer)).result).toEqual({ ok: true, text });
  });

  test.each(["data.2", "none", "data.text", "__proto__"])(
    "an error where nothing is at %s",
    async (result) => {
      const { result: got } = await ask(ORN, { result }, answer);
      expect(got).toMatchObject({ reason: "error", text: "Error: weather failed." });
      if (!got.ok) expect(got.detail).toStartWith(`the answer has no ${result}: {"data"`);
    },
  );

  test("that there was none", async () => {
    expect((await ask(ORN, {}, () => new Response(" "))).result.text).toBe("(no output)");
  });
});

describe("a call is wrong, and not repeated, where", () => {
  const wrong: readonly [claim: string, input: string, text: string][] = [
    ["it is no JSON", "Orn", "Error: the call is not JSON."],
    ["it is no object", '"Orn"', "Error: the call is not a JSON object."],
    ["a parameter is missing", '{"days": 3}', "Error: city is missing."],
    ["a parameter is empty", '{"city": ""}', "Error: city is missing."],
    ["a type is wrong", '{"city": "Orn", "days": 1.5}', "Error: days is not of type integer."],
    [
      "a parameter is unknown",
      '{"city": "Orn", "day": 1}',
      "Error: there is no parameter day, only city, days.",
    ],
  ];
  test.each(wrong)("%s", async (_claim, input, text) => {
    const { result, attempts, asked } = await ask(input, {});
    expect(result).toMatchObject({ reason: "invalid_call", text });
    expect([attempts, asked]).toEqual([1, undefined]);
  });

  test.each([400, 404, 422])("the server says %d", async (status) => {
    const { result, attempts } = await ask(ORN, {}, () => new Response("no", { status }));
    const text = `Error: weather has no answer to this (status ${status}).`;
    expect(result).toMatchObject({ reason: "invalid_call", text });
    expect(attempts).toBe(1);
  });
});
