// Ctrl-C: the first asks for an end after the step, the second ends the process.

export class Interrupt implements Disposable {
  requested = false;

  constructor(private readonly tell: (text: string) => void) {
    process.on("SIGINT", this.onSignal);
    process.on("SIGTERM", this.onSignal);
  }

  private readonly onSignal = (): void => {
    if (this.requested) process.exit(130);
    this.requested = true;
    this.tell("ending after this step, with a checkpoint; Ctrl-C again ends at once");
  };

  [Symbol.dispose](): void {
    process.off("SIGINT", this.onSignal);
    process.off("SIGTERM", this.onSignal);
  }
}
