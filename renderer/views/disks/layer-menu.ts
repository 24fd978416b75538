// What can be done with a layer, as a menu.
import type { DiskJobKind, DiskView, LayerView } from '../../../engine/api/control.ts';
import type { IconName } from '../../components/icons.ts';
import type { MenuItem } from '../../components/menu.ts';
import { DISKS_TEXT } from '../../text/disks.ts';
import { layerActions, namedReason } from './actions.ts';

export const JOB_ICONS: Readonly<Record<DiskJobKind, IconName>> = {
  overlay: 'plus',
  commit: 'arrow-down',
  stream: 'arrow-up',
  compact: 'fit',
  check: 'check',
  resize: 'detach',
  delete: 'trash',
};

export function layerMenu(disk: DiskView, layer: LayerView, run: (kind: DiskJobKind) => void): readonly MenuItem[] {
  return layerActions(disk, layer).map(({ kind, verdict }) => ({
    text: `${DISKS_TEXT.actions[kind].name}…`,
    icon: JOB_ICONS[kind],
    ...(!verdict.allowed && { unavailable: DISKS_TEXT.refused(namedReason(verdict.reason ?? '', disk)) }),
    run: () => run(kind),
  }));
}
