// A promise with a deadline. The work itself goes on: who started it has to stop it.

/** Rejects with `late()` after `ms`. What comes later is dropped. */
export async function withinDeadline<T>(
  work: Promise<T>,
  ms: number,
  late: () => Error,
): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => deadline.reject(late()), ms);
  try {
    return await Promise.race([work, deadline.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
