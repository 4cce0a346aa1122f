// Placeholders in a recipe's texts: `{name}` is a parameter of a call, `${NAME}` a variable of the
// environment. What is put in is never looked at again, so no input can name another placeholder.

const PLACEHOLDER = /\$\{(\w+)\}|\{(\w+)\}/g;

export interface Placeholders {
  readonly parameters: readonly string[];
  readonly variables: readonly string[];
}

export function placeholdersOf(text: string): Placeholders {
  const found = [...text.matchAll(PLACEHOLDER)];
  return {
    parameters: found.flatMap(([, , parameter]) => parameter ?? []),
    variables: found.flatMap(([, variable]) => variable ?? []),
  };
}

/** The text with every placeholder replaced. */
export function filled(
  text: string,
  parameter: (name: string) => string,
  variable: (name: string) => string,
): string {
  return text.replace(PLACEHOLDER, (_, env: string | undefined, name: string) =>
    env === undefined ? parameter(name) : variable(env),
  );
}

/** The parameter that a text is and nothing else, or undefined. */
export function onlyParameter(text: string): string | undefined {
  return /^\{(\w+)\}$/.exec(text)?.[1];
}

/** All texts in a value of JSON. */
export function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}
