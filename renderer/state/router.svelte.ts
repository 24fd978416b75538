// Which page is shown, kept in the fragment of the address, so that Back and reloads do what one expects.
//
//   #/                     the library
//   #/machine/ID/TAB       a machine
//   #/console/ID           nothing but a console: a window of its own
//   #/consoles              the consoles of all machines that are on
//   #/settings, #/activity, #/about
import type { Identity } from '../../engine/api/machine.ts';

export const MACHINE_TABS = ['console', 'checkpoints', 'disks', 'memory', 'activity'] as const;
export type MachineTab = (typeof MACHINE_TABS)[number];

export type Route =
  | { readonly page: 'library' | 'consoles' | 'settings' | 'activity' | 'about' }
  | { readonly page: 'machine'; readonly machine: Identity; readonly tab: MachineTab }
  | { readonly page: 'detached'; readonly machine: Identity };

export function parseRoute(fragment: string): Route {
  const [page, machine, tab] = fragment.replace(/^#\/?/, '').split('/');
  if (page === 'consoles' || page === 'settings' || page === 'activity' || page === 'about') return { page };
  if (machine !== undefined && /^[0-9a-f]{32}$/.test(machine)) {
    if (page === 'console') return { page: 'detached', machine };
    const known = MACHINE_TABS.find(one => one === tab) ?? 'console';
    if (page === 'machine') return { page: 'machine', machine, tab: known };
  }
  return { page: 'library' };
}

export function formatRoute(route: Route): string {
  switch (route.page) {
    case 'library':
      return '#/';
    case 'machine':
      return `#/machine/${route.machine}/${route.tab}`;
    case 'detached':
      return `#/console/${route.machine}`;
    default:
      return `#/${route.page}`;
  }
}

export class Router {
  #route = $state.raw<Route>(parseRoute(location.hash));
  /** The tab that each machine was last seen with. */
  #tabs = new Map<Identity, MachineTab>();

  get route(): Route {
    return this.#route;
  }

  /** Follows the address; returns what ends it. */
  follow(): () => void {
    const read = () => {
      this.#route = parseRoute(location.hash);
    };
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }

  go(route: Route): void {
    if (route.page === 'machine') this.#tabs.set(route.machine, route.tab);
    const address = formatRoute(route);
    if (location.hash !== address) history.pushState(null, '', address);
    this.#route = route;
  }

  openMachine(machine: Identity, tab?: MachineTab): void {
    this.go({ page: 'machine', machine, tab: tab ?? this.#tabs.get(machine) ?? 'console' });
  }
}
