// `afterimage app`, which is `npm start`, and `afterimage serve` on the command line.
import { type Command, InvalidArgumentError } from 'commander';

interface ServeArguments {
  readonly port?: number;
  readonly open: boolean;
  readonly library?: string;
  readonly allowHost?: readonly string[];
  readonly newToken?: true;
}

interface AppArguments extends ServeArguments {
  readonly browser?: true;
  readonly terminal?: true;
}

/** Adds the commands; `ended` gets the exit status. */
export function addApp(program: Command, ended: (status: number) => void): Command[] {
  const app = withServeOptions(program.command('app').description('open the app, with a machine to begin with'))
    .option('--browser', 'in a web browser, also where a window could be opened')
    .option('--terminal', 'no app: the default guest on this terminal, forgotten at the end')
    .action(async (options: AppArguments) => {
      const { appCommand } = await import('./app-command.ts');
      const { browser, terminal } = options;
      ended(await appCommand({ ...serveOptions(options), firstMachine: true, browser, terminal }));
    });
  const serve = withServeOptions(
    program.command('serve').description('show the app in a browser, on this computer only'),
  )
    .option('--first-machine', 'make and start a machine if there is none')
    .action(async ({ firstMachine, ...options }: ServeArguments & { readonly firstMachine?: true }) => {
      const { serveCommand } = await import('./serve.ts');
      ended(await serveCommand({ ...serveOptions(options), firstMachine: firstMachine === true }));
    });
  return [app, serve];
}

function withServeOptions(command: Command): Command {
  return command
    .option('--port <number>', 'where the browser host listens, up to 65535', parsePort)
    .option('--no-open', 'do not open a browser')
    .option('--library <folder>', 'where machines are, instead of the usual place')
    .option('--allow-host <name...>', 'names under which a reverse proxy shows it')
    .option('--new-token', 'let in no page that an earlier run has let in')
    .allowExcessArguments(false);
}

function serveOptions({ port, open, library, allowHost, newToken }: ServeArguments) {
  return {
    open,
    ...(newToken === undefined ? {} : { newToken }),
    ...(port === undefined ? {} : { port }),
    ...(library === undefined ? {} : { library }),
    ...(allowHost === undefined ? {} : { allowHost }),
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Give a number up to 65535.');
}
