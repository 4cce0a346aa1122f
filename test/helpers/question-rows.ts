// Rows of the data sets that recipes name, in their real format with invented content. All have the
// same answer.

import { sourceName } from "../../src/data/source-files.ts";
import { jsonl } from "./data-files.ts";

export const ANSWER = "Paris";

/** Rows of FlashRAG's file of a data set. */
const METADATA: Readonly<Record<string, (index: number) => object>> = {
  nq: () => ({}),
  hotpotqa: (i) => ({
    metadata: {
      type: "bridge",
      level: i % 2 === 0 ? "easy" : "hard",
      supporting_facts: { title: ["Orn", "Tel"], sent_id: [0, 1] },
      context: { title: ["Orn"], sentences: [["Orn lies on the Sil.", "It is old."]] },
    },
  }),
};

/** The text of the file that a recipe names, as data/nq/train.jsonl. Throws for what is not here. */
export function questionFile(path: string, count: number): string {
  const [set = "", split = ""] = sourceName({ path }).split("/").slice(-2);
  const metadata = METADATA[set];
  if (metadata === undefined) throw new Error(`no rows like those of ${path} here: add them`);
  return jsonl(
    Array.from({ length: count }, (_, i) => ({
      id: `${split}_${i}`,
      question: `what is the capital of ${set} ${split} ${i}`,
      golden_answers: [ANSWER],
      ...metadata(i),
    })),
  );
}
