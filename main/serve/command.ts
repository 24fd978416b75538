// `afterimage app` on the command line, which is `npm start`.
import { type Command, InvalidArgumentError } from 'commander';

interface ServeArguments {
  readonly port?: number;
  readonly open: boolean;
  readonly library?: string;
  readonly allowHost?: readonly string[];
}

interface AppArguments extends ServeArguments {
  readonly browser?: true;
  readonly terminal?: true;
}

/** Adds the command; `ended` gets the exit status. What `serve` does is beside it in main/cli. */
export function addApp(program: Command, ended: (status: number) => void): Command[] {
  const app = withServeOptions(program.command('app').description('open the app, with a machine to begin with'))
    .option('--browser', 'in a web browser, also where a window could be opened')
    .option('--terminal', 'no app: the default guest on this terminal, forgotten at the end')
    .action(async (options: AppArguments) => {
      const { appCommand } = await import('./app-command.ts');
      const { browser, terminal } = options;
      ended(await appCommand({ ...serveOptions(options), firstMachine: true, browser, terminal }));
    });
  return [app];
}

function withServeOptions(command: Command): Command {
  return command
    .option('--port <number>', 'port of the browser host', parsePort)
    .option('--no-open', 'do not open a browser')
    .option('--library <folder>', 'another machine library')
    .option('--allow-host <name>', 'host name of a reverse proxy; can be given several times', collect)
    .allowExcessArguments(false);
}

function serveOptions({ port, open, library, allowHost }: ServeArguments) {
  return {
    open,
    ...(port === undefined ? {} : { port }),
    ...(library === undefined ? {} : { library }),
    ...(allowHost === undefined ? {} : { allowHost }),
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('It is no port.');
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
