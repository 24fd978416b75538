// The time of day for ages and uptimes; ticks only while somebody looks at it.
import { createSubscriber } from 'svelte/reactivity';

/** Ages are told in minutes, uptimes below a minute in tens of seconds. */
const TICK_MILLISECONDS = 10_000;

const subscribe = createSubscriber(update => {
  const timer = setInterval(update, TICK_MILLISECONDS);
  return () => clearInterval(timer);
});

/** Milliseconds since 1970; in an effect or a template it is read anew at every tick. */
export function now(): number {
  subscribe();
  return Date.now();
}
