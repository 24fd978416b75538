// What a machine's layers are, who needs them, and what may be done with each. The app and the command line draw from
// it, and nothing deletes or changes a file against it.

export interface LayerFacts {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** Bytes of the disk. */
  readonly virtualSize: number;
  /** Bytes that the file takes on the host. */
  readonly allocatedSize: number;
  /** Path of the layer below. */
  readonly backing?: string;
}

export type NeedKind = 'machine' | 'checkpoint' | 'job';

/** Someone who reads a disk from a layer on down, or, a machine that runs and a job, also writes to it. */
export interface Need {
  readonly by: NeedKind;
  readonly id: string;
  /** The layer from which on it needs the chain. */
  readonly layer: string;
}

export interface Verdict {
  readonly allowed: boolean;
  /** For a person: why not. */
  readonly reason?: string;
}

export interface LayerModel extends LayerFacts {
  /** Layers that stand on it. */
  readonly overlays: readonly string[];
  /** All who need its content: directly, or because what they need stands on it. */
  readonly neededBy: readonly (Need & { readonly direct: boolean })[];
  readonly may: {
    readonly delete: Verdict;
    /** Into the layer below, which its content then takes over. */
    readonly commit: Verdict;
    readonly stream: Verdict;
    readonly compact: Verdict;
    readonly resize: Verdict;
  };
}

const YES: Verdict = { allowed: true };
const no = (reason: string): Verdict => ({ allowed: false, reason });

/** The model of all layers of a machine, in the order given. Layers that a backing names but that are not given are missing. */
export function chainModel(layers: readonly LayerFacts[], needs: readonly Need[]): LayerModel[] {
  const byPath = new Map(layers.map(layer => [layer.path, layer]));
  const overlaysOf = Map.groupBy(
    layers.filter(({ backing }) => backing !== undefined),
    ({ backing }) => backing!,
  );
  const chains = needs.map(need => ({ need, below: pathsBelow(byPath, need.layer) }));
  const neededBy = (path: string) =>
    chains.filter(({ below }) => below.has(path)).map(({ need }) => ({ ...need, direct: need.layer === path }));
  return layers.map(layer => {
    const overlays = (overlaysOf.get(layer.path) ?? []).map(({ path }) => path);
    const needed = neededBy(layer.path);
    const context: Context = { layer, overlays, needed, byPath, neededBy, overlaysOf };
    return {
      ...layer,
      overlays,
      neededBy: needed,
      may: {
        delete: mayDelete(context),
        commit: mayCommit(context),
        stream: mayStream(context),
        compact: mayRewrite(context, 'compacted'),
        resize: mayResize(context),
      },
    };
  });
}

/** The path and all that it stands on; circles end. */
function pathsBelow(byPath: ReadonlyMap<string, LayerFacts>, from: string): Set<string> {
  const paths = new Set<string>();
  for (let path: string | undefined = from; path !== undefined && !paths.has(path); path = byPath.get(path)?.backing) {
    paths.add(path);
  }
  return paths;
}

type Needed = Need & { readonly direct: boolean };

interface Context {
  readonly layer: LayerFacts;
  readonly overlays: readonly string[];
  readonly needed: readonly Needed[];
  readonly byPath: ReadonlyMap<string, LayerFacts>;
  readonly neededBy: (path: string) => Needed[];
  readonly overlaysOf: ReadonlyMap<string, readonly LayerFacts[]>;
}

function mayDelete({ needed, overlays }: Context): Verdict {
  const [first] = needed;
  if (first !== undefined) return no(`${nameOf(first)} needs it`);
  if (overlays.length > 0) return no(`${overlays[0]} stands on it`);
  return YES;
}

function mayCommit({ layer, needed, neededBy, byPath, overlays, overlaysOf }: Context): Verdict {
  const { backing } = layer;
  if (backing === undefined) return no('there is no layer below');
  if (!byPath.has(backing)) return no(`${backing} is missing`);
  const holder = needed.find(need => need.direct && need.by !== 'machine');
  if (holder !== undefined) return no(`${nameOf(holder)} needs it`);
  const direct = neededBy(backing).find(need => need.direct);
  if (direct !== undefined) return no(`${nameOf(direct)} needs the layer below`);
  const other = (overlaysOf.get(backing) ?? []).find(({ path }) => path !== layer.path);
  if (other !== undefined) return no(`${other.path} stands on the layer below, too`);
  if (overlays.length > 1) return no('more than one layer stands on it');
  return YES;
}

function mayStream({ layer, byPath, needed }: Context): Verdict {
  if (layer.backing === undefined) return no('there is no layer below');
  if (!byPath.has(layer.backing)) return no(`${layer.backing} is missing`);
  const job = needed.find(need => need.by === 'job');
  return job === undefined ? YES : no(`${nameOf(job)} works on it`);
}

function mayRewrite({ needed }: Context, what: string): Verdict {
  const user = needed.find(need => need.by === 'job' || (need.by === 'machine' && need.direct));
  return user === undefined ? YES : no(`it cannot be ${what} while ${nameOf(user)} uses it`);
}

function mayResize(context: Context): Verdict {
  const { needed, overlays } = context;
  const checkpoint = needed.find(need => need.by === 'checkpoint');
  if (checkpoint !== undefined) return no(`${nameOf(checkpoint)} needs it`);
  if (overlays.length > 0) return no(`${overlays[0]} stands on it`);
  return mayRewrite(context, 'resized');
}

function nameOf({ by, id }: Need): string {
  return `${by} ${id}`;
}
