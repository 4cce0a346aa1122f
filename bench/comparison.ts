// Question: what does training with fewer and fewer demonstrations reach, against training without any? Runs each recipe with each
// seed through the command line, one after the other, and prints the README's table. It takes minutes a run.
//   npx bun bench/comparison.ts [--seeds 1,2,3] [--recipes nano,nano-4stage,nano-zero-shot] [--out FOLDER]

import { mkdirSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

interface EvalRow {
  readonly stage: string;
  readonly shots: number;
  readonly em: number;
  readonly em_1hop: number | null;
  readonly em_2hop: number | null;
  readonly valid_format: number;
  readonly tool_calls: number;
}
interface Summary {
  readonly evals: readonly EvalRow[];
  readonly wall_s: number;
  readonly steps: number;
}

const root = join(import.meta.dir, "..");

/** The run's summary; a run that was made before is read, not repeated. */
function summaryOf(recipe: string, seed: number, out: string): Summary {
  const name = `${recipe}-${seed}`;
  const log = join(out, `${name}.jsonl`);
  if (!existsSync(log)) {
    const options = ["--recipe", recipe, "--seed", `${seed}`, "--run", join(out, name), "--json"];
    const command = [join(root, "icrl"), "run", ...options];
    const done = Bun.spawnSync(command, { cwd: root, stderr: "inherit" });
    if (done.exitCode !== 0) throw new Error(`${command.join(" ")}: status ${done.exitCode}`);
    writeFileSync(log, done.stdout);
  }
  return JSON.parse(readFileSync(log, "utf8").trim().split("\n").at(-1)!) as Summary;
}

function tableRow(
  recipe: string,
  seed: number,
  { evals, wall_s: seconds, steps }: Summary,
): string {
  const last = evals.at(-1)!.stage;
  const ems = (stage: string): string =>
    evals.flatMap((row) => (row.stage === stage ? [figure(row.em)] : [])).join(" / ");
  const after = evals.find((row) => row.stage === last && row.shots === 0)!;
  const split = [after.em_1hop, after.em_2hop, after.valid_format].map(figure).join(" / ");
  const cells = [
    `\`${recipe}\``,
    seed,
    ems("base"),
    ems(last),
    split,
    steps,
    `${seconds.toFixed(0)} s`,
  ];
  return `| ${cells.join(" | ")} |`;
}

const figure = (value: number | null): string =>
  value === null ? "-" : value.toFixed(3).replace(/^0/, "");

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1,2,3" },
    recipes: { type: "string", default: "nano,nano-4stage,nano-zero-shot" },
    out: { type: "string", default: "runs/comparison" },
  },
});
const out = resolve(root, values.out);
mkdirSync(out, { recursive: true });
const head =
  "| recipe | seed | EM before: 0 / 1 / 2 / 3 demonstrations | EM after: 0 / 1 / 2 / 3 | " +
  "after, without demonstrations: 1-hop / 2-hop / valid format | steps | time |";
process.stdout.write(`${head}\n|---|---|---|---|---|---|---|\n`);
for (const recipe of values.recipes.split(",")) {
  for (const seed of values.seeds.split(",").map(Number)) {
    process.stdout.write(`${tableRow(recipe, seed, summaryOf(recipe, seed, out))}\n`);
  }
}
