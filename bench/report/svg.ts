/** Horizontal bars with min–max whiskers, as SVG; its colours follow the reader's light or dark scheme. */
import { figure } from '../lib/verdicts.ts'

/** One bar. */
export interface PlotBar {
  readonly label: string
  /** `main`: what we ship; `own`: other modes of ours; `base`: no relay at all. */
  readonly family: 'main' | 'own' | 'other' | 'base'
  readonly median: number
  readonly min: number
  readonly max: number
  /** A little room above it: another kind of contender begins. */
  readonly apart?: boolean
}

/** Bars that share an axis. */
export interface Panel {
  readonly title: string
  readonly bars: readonly PlotBar[]
}

/** A picture. */
export interface Picture {
  readonly title: string
  /** The unit, and which way is better. */
  readonly subtitle: string
  readonly panels: readonly Panel[]
}

const panelWidth = 430
const margin = 16
const titleHeight = 52
const panelTitleHeight = 26
const rowHeight = 19
const barHeight = 12
/** The room above a bar that is {@link PlotBar.apart}. */
const gap = 8
const labelWidth = 104
const valueWidth = 128
const barsWidth = panelWidth - labelWidth - valueWidth

const style = `
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 }
.soft { fill: #59636e } .value { font-variant-numeric: tabular-nums } .end { text-anchor: end }
.back { fill: #ffffff } .axis { stroke: #d1d9e0 } .whisker { stroke: #1f2328; stroke-width: 1.2; fill: none }
.main { fill: #0969da } .own { fill: #80b7f5 } .other { fill: #a3abb4 } .base { fill: #d8dde3 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .soft { fill: #9198a1 } .back { fill: #0d1117 } .axis { stroke: #3d444d }
.whisker { stroke: #f0f6fc } .main { fill: #3b8eea } .own { fill: #27568f } .other { fill: #6e7681 } .base { fill: #3d444d }
}
`

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A coordinate, in tenths of a pixel at most, so that files stay small and the same. */
function at(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** A figure that leaves room for two more beside it. */
function short(value: number): string {
  return value < 10_000 ? figure(value) : `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`
}

/** An arrow beyond the axis' end, for what does not fit. */
function arrow(x: number, y: number): string {
  return `M${at(x + 2)} ${at(y - 3)}l3 3l-3 3`
}

/** The largest value on the axis: what is four times beyond ours would leave nothing to see of the others. */
function axisEnd(bars: readonly PlotBar[]): number {
  const largest = Math.max(...bars.map(({ max }) => max), 0)
  const ours = Math.max(...bars.filter(({ family }) => family === 'main').map(({ max }) => max), 0)
  return ours > 0 ? Math.min(largest, ours * 4) : largest
}

function drawBar(bar: PlotBar, largest: number, x: number, y: number): string {
  const zero = x + labelWidth
  const end = (value: number): number => zero + (largest > 0 ? Math.min(1, value / largest) * barsWidth : 0)
  const middle = y + rowHeight / 2
  const [from, to] = [end(bar.min), end(bar.max)]
  const [top, bottom] = [at(middle - 3), at(middle + 3)]
  const last = bar.max > largest ? arrow(to, middle) : `M${at(to)} ${top}V${bottom}`
  const ends = `${bar.min > largest ? '' : `M${at(from)} ${top}V${bottom}`}${last}`
  const range = `${short(bar.min)}–${short(bar.max)}`
  return [
    `<text class="end${bar.family === 'main' ? ' panel' : ''}" x="${at(zero - 8)}" y="${at(middle + 4)}">${escapeXml(bar.label)}</text>`,
    `<rect class="${bar.family}" x="${at(zero)}" y="${at(middle - barHeight / 2)}" width="${at(Math.max(0, end(bar.median) - zero))}" height="${barHeight}" rx="1.5"/>`,
    `<path class="whisker" d="M${at(from)} ${at(middle)}H${at(to)}${ends}"/>`,
    `<text class="value" x="${at(x + panelWidth - valueWidth + 10)}" y="${at(middle + 4)}">${short(bar.median)} <tspan class="soft">(${range})</tspan></text>`,
  ].join('\n')
}

/** Where each bar begins, below the first one's top, and at the end where the last one ends. */
function topsOf(bars: readonly PlotBar[]): readonly number[] {
  const tops = [0]
  for (const [index] of bars.entries()) {
    const above = bars[index + 1]?.apart === true ? gap : 0
    tops.push((tops[index] ?? 0) + rowHeight + above)
  }
  return tops
}

function drawPanel(panel: Panel, x: number, y: number): string {
  const largest = axisEnd(panel.bars)
  const top = y + panelTitleHeight
  const tops = topsOf(panel.bars)
  const bottom = top + (tops.at(-1) ?? 0)
  const zero = at(x + labelWidth)
  return [
    `<text class="panel" x="${at(x + labelWidth)}" y="${at(y + 17)}">${escapeXml(panel.title)}</text>`,
    ...panel.bars.map((bar, index) => drawBar(bar, largest, x, top + (tops[index] ?? 0))),
    `<path class="axis" d="M${zero} ${at(top - 2)}V${at(bottom + 2)}"/>`,
  ].join('\n')
}

/** The picture as an SVG document, panels two to a line. The same input gives the same bytes. */
export function drawPicture({ title, subtitle, panels }: Picture): string {
  const columns = panels.length > 1 ? 2 : 1
  const parts: string[] = []
  let y = titleHeight
  for (let index = 0; index < panels.length; index += columns) {
    const line = panels.slice(index, index + columns)
    for (const [column, panel] of line.entries())
      parts.push(drawPanel(panel, margin + column * (panelWidth + margin), y))
    y += panelTitleHeight + Math.max(...line.map(({ bars }) => topsOf(bars).at(-1) ?? 0)) + 14
  }
  const width = margin + columns * (panelWidth + margin)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">`,
    `<title>${escapeXml(title)}</title><desc>${escapeXml(subtitle)}; bars are medians, whiskers from the least to the greatest round, an arrow is what the axis has no room for</desc>`,
    `<style>${style}</style>`,
    `<rect class="back" width="${width}" height="${y}" rx="6"/>`,
    `<text class="title" x="${margin}" y="26">${escapeXml(title)}</text>`,
    `<text class="soft" x="${margin}" y="44">${escapeXml(subtitle)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}
