// One view of one scripted machine. The address says which: ?view=tree&checkpoints=30&theme=dark
import '../../../../renderer/styles/index.css';
import { mount } from 'svelte';
import { connect } from '../../../../preload/contract/client.ts';
import { ScriptedBridge } from '../../scripted/bridge.ts';
import Harness from './Harness.svelte';

declare global {
  interface Window {
    /** For tests, to see what was called and to make things happen. */
    stage: ScriptedBridge;
  }
}

const asked = new URLSearchParams(location.search);
const number = (name: string, usual: number) => Number(asked.get(name) ?? usual);

window.stage = new ScriptedBridge(
  {
    checkpoints: number('checkpoints', 30),
    seed: number('seed', 12),
    forks: number('forks', 0.13),
    state: asked.get('state') === 'off' ? 'off' : 'running',
  },
  asked.get('drag') === 'native' ? { host: 'electron', dragOut: 'native' } : {},
  { theme: asked.get('theme') === 'dark' ? 'dark' : 'light' },
);
mount(Harness, {
  target: document.getElementById('app')!,
  props: { app: connect(window.stage), view: asked.get('view') ?? 'tree' },
});
