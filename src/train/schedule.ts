// The learning rate over the steps of a stage, as a factor of its peak: linear warm-up, then
// constant, linear or cosine decay to a fraction. Steps count from 0.

export type Decay = "constant" | "linear" | "cosine";

export interface Schedule {
  readonly decay: Decay;
  /** Step `warmupSteps - 1` is the first at the peak; no step has rate 0. */
  readonly warmupSteps: number;
  /** The last of them has the factor `decayTo`, and so has every step after it. */
  readonly totalSteps: number;
  readonly decayTo: number;
}

export function scheduleFactor(schedule: Schedule, step: number): number {
  if (step < schedule.warmupSteps) return (step + 1) / schedule.warmupSteps;
  const remaining = 1 - decayedShare(schedule, step);
  switch (schedule.decay) {
    case "constant":
      return 1;
    case "linear":
      return schedule.decayTo + (1 - schedule.decayTo) * remaining;
    case "cosine":
      return schedule.decayTo + (1 - schedule.decayTo) * 0.5 * (1 - Math.cos(Math.PI * remaining));
  }
}

/** How much of the decay lies behind: 0 at the first step at the peak, 1 at the last step. */
function decayedShare({ warmupSteps, totalSteps }: Schedule, step: number): number {
  const first = Math.max(0, warmupSteps - 1);
  const span = totalSteps - 1 - first;
  if (span <= 0) return step > first ? 1 : 0;
  return Math.min(1, (step - first) / span);
}
