import { describe, expect, test } from "bun:test";
import { parseRecipe } from "../../src/config/load.ts";
import {
  afterLook,
  afterStage,
  afterStep,
  nextInStage,
  requireOpenGate,
  start,
  type Progress,
} from "../../src/curriculum/progress.ts";

const { stages } = parseRecipe(
  `
name: gated
stages:
  - { shots: 3, steps: 4 }
  - shots: 0
    steps: 2
    gate: { zero_shot_em: 0.5, max_extra_steps: 3, every: 2 }
`,
  "gated.yaml",
);

/** Walks one stage; `ems` are what looks measure. Says what was done by letter: s(tep), l(ook). */
function walk(from: Progress, ems: readonly number[]): { did: string; end: Progress } {
  let progress = from;
  let did = "";
  for (let looks = 0; ;) {
    const next = nextInStage(progress, stages);
    if (next.kind === "end") return { did, end: afterStage(progress, next.outcome) };
    did += next.kind[0];
    if (next.kind === "step") progress = afterStep(progress);
    else progress = afterLook(progress, ems[looks++] ?? 0);
  }
}

describe("a stage before a gate of EM .5, looked at every 2 and at most 3 extra steps", () => {
  const table: readonly [ems: readonly number[], did: string, entered: boolean][] = [
    [[0.5], "ssssl", true],
    [[0.49, 0.6], "sssslssl", true],
    [[0, 0, 0.9], "sssslsslsl", true],
    [[0, 0, 0.49], "sssslsslsl", false],
  ];
  test.each(table)("looks that measure %p: %s, next stage entered: %p", (ems, did, entered) => {
    const walked = walk(start, ems);
    expect(walked.did).toBe(did);
    expect(walked.end.stage).toBe(1);
    expect(walked.end.step).toBe(did.replaceAll("l", "").length);
    const enter = (): void => requireOpenGate(walked.end, stages);
    if (entered) expect(enter).not.toThrow();
    else expect(enter).toThrow("EM without demonstrations is 0.490 after 7 steps of stage1");
  });

  test("a gate that is lowered later is open", () => {
    const { end } = walk(start, [0, 0, 0.3]);
    const lowered = stages.with(1, {
      ...stages[1]!,
      gate: { ...stages[1]!.gate!, zero_shot_em: 0.3 },
    });
    expect(() => requireOpenGate(end, lowered)).not.toThrow();
  });

  test("the last stage has no gate after it and takes its steps exactly", () => {
    expect(walk({ step: 4, stage: 1, stageStep: 0 }, []).did).toBe("ss");
  });

  test("progress survives JSON at every point of the walk", () => {
    let progress: Progress = start;
    for (const em of [0, 0.1]) {
      progress = afterLook(afterStep(progress), em);
      expect(JSON.parse(JSON.stringify(progress))).toEqual(progress);
    }
  });
});
