// Lines of the checkpoint graph as SVG path data.
import type { PlacedEdge } from './layout.ts';

/** Lengths in pixels. */
export interface GraphMeasures {
  readonly rowHeight: number;
  readonly laneWidth: number;
  /** Left of the first lane's centre. */
  readonly inset: number;
}

/** Widest and narrowest distance of lanes, and the room that lanes may take before they move together. */
const LANE_WIDTH = { most: 18, least: 5 };

export function measureGraph(lanes: number, rowHeight: number, room: number): GraphMeasures {
  const inset = 16;
  const fitting = (room - 2 * inset) / Math.max(1, lanes - 1);
  return { rowHeight, laneWidth: Math.max(LANE_WIDTH.least, Math.min(LANE_WIDTH.most, fitting)), inset };
}

export function graphWidth(lanes: number, measures: GraphMeasures): number {
  return Math.ceil(2 * measures.inset + Math.max(0, lanes - 1) * measures.laneWidth);
}

export function laneX(lane: number, measures: GraphMeasures): number {
  return measures.inset + lane * measures.laneWidth;
}

export function rowY(row: number, measures: GraphMeasures): number {
  return (row + 0.5) * measures.rowHeight;
}

/** Clipped to rows `first` to `last`, so that a line over hundreds of rows stays short. */
export function edgePath(edge: PlacedEdge, measures: GraphMeasures, first: number, last: number): string {
  const x = laneX(edge.childLane, measures);
  const top = rowY(Math.max(edge.childRow, first - 1), measures);
  const bottom = rowY(Math.min(edge.parentRow, last + 1), measures);
  if (edge.childLane === edge.parentLane || edge.parentRow > last + 1) return `M${x} ${top}V${bottom}`;
  const parentX = laneX(edge.parentLane, measures);
  const bend = bottom - measures.rowHeight;
  const middle = bottom - measures.rowHeight / 2;
  const straight = bend > top ? `V${bend}` : '';
  return `M${x} ${top}${straight}C${x} ${middle} ${parentX} ${middle} ${parentX} ${bottom}`;
}
