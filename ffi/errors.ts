// What a failed call of the engine throws. The class says what to do; the message keeps the call and the engine's own words.

export class EngineError extends Error {
  constructor(
    readonly call: string,
    readonly detail: string,
  ) {
    super(`${call}: ${detail}`);
    this.name = new.target.name;
  }
}
/** Nothing changed; a smaller batch may fit. */
export class OutOfMemoryError extends EngineError {}
/** Our own bug, or a call out of order. */
export class InvalidArgumentError extends EngineError {}
/** The device or its driver failed: stop. */
export class DeviceError extends EngineError {}
export class InternalError extends EngineError {}

/** icrl_status -> its class. 0 is no error. */
export function errorFor(status: number, call: string, detail: string): EngineError {
  switch (status) {
    case 1:
      return new OutOfMemoryError(call, detail);
    case 2:
      return new InvalidArgumentError(call, detail);
    case 3:
      return new DeviceError(call, detail);
    default:
      return new InternalError(call, detail);
  }
}
