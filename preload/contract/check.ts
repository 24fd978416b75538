// Arguments are checked where they arrive, whoever sent them.
import * as v from 'valibot';
import { AfterimageError } from '../../engine/base/errors.ts';
import { APP_CALLS, type AppArguments, type AppCallName, isAppCall } from './app-calls.ts';
import { MACHINE_CALLS, type MachineArguments, type MachineCallName } from './machine-calls.ts';

/** Throws `usage` for a name that is no call. */
export function checkName(name: unknown): AppCallName {
  if (typeof name === 'string' && isAppCall(name)) return name;
  throw new AfterimageError('usage', 'There is no such call', {
    call: typeof name === 'string' ? name.slice(0, 40) : typeof name,
  });
}

export function checkArguments<Name extends AppCallName>(name: Name, arguments_: unknown): AppArguments<Name> {
  return check(APP_CALLS[name].arguments, name, arguments_) as AppArguments<Name>;
}

export function checkMachineArguments<Name extends MachineCallName>(
  name: Name,
  arguments_: unknown,
): MachineArguments<Name> {
  return check(MACHINE_CALLS[name], name, arguments_) as MachineArguments<Name>;
}

/** Throws `usage` with the place and what is wrong with it. */
export function check<Schema extends v.GenericSchema>(
  schema: Schema,
  what: string,
  value: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const place = v.getDotPath(issue) ?? '';
  throw new AfterimageError('usage', 'The arguments of a call are not as they should be', {
    call: what,
    place,
    problem: issue.message.slice(0, 200),
  });
}
