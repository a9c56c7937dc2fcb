import type { Run } from '../server/runs'

export type { Run }
export type Week = { start: string; title: string; runs: Run[]; km: number; seconds: number }

const DAY_MS = 86_400_000

/** A day is text, `2026-11-23`, in the runner's own calendar; arithmetic on it is done in UTC. */
export const today = () => {
  const now = new Date()
  return new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 10)
}
const at = (day: string) => new Date(`${day}T00:00:00Z`)
const addDays = (day: string, days: number) => new Date(at(day).getTime() + days * DAY_MS).toISOString().slice(0, 10)

/** The Monday on or before a day. */
export const monday = (day: string) => addDays(day, -((at(day).getUTCDay() + 6) % 7))

/** The seven days of the week that begins on `start`, with the kilometres of each. */
export function daysOf(start: string, runs: Run[]) {
  return Array.from({ length: 7 }, (_, i) => {
    const day = addDays(start, i)
    return { day, km: total(runs.filter((run) => run.ranOn === day)).km }
  })
}

/** Runs by week, newest first. */
export function weeksOf(runs: Run[], now: string): Week[] {
  const byStart = Map.groupBy(runs, (run) => monday(run.ranOn))
  return [...byStart]
    .sort(([a], [b]) => b.localeCompare(a))
    .map(([start, inWeek]) => ({ start, title: weekTitle(start, now), runs: inWeek, ...total(inWeek) }))
}

export function total(runs: Run[]) {
  const sum = (pick: (run: Run) => number) => runs.reduce((all, run) => all + pick(run), 0)
  return { km: sum((run) => run.distanceKm), seconds: sum((run) => run.durationSeconds) }
}

function weekTitle(start: string, now: string) {
  if (start === monday(now)) return 'This week'
  if (start === addDays(monday(now), -7)) return 'Last week'
  const dates = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' })
  return dates.formatRange(at(start), at(addDays(start, 6)))
}

export function show(day: string, options: Intl.DateTimeFormatOptions) {
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone: 'UTC' }).format(at(day))
}

export const kilometres = (km: number) =>
  new Intl.NumberFormat(undefined, { maximumFractionDigits: km >= 100 ? 1 : 2 }).format(km)

/** 0:42, 44:10, 1:02:09 */
export function clock(seconds: number) {
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** Minutes and seconds for one kilometre; a dash where there is nothing to divide. */
export const pace = (km: number, seconds: number) => (km > 0 && seconds > 0 ? clock(seconds / km) : '–')

/** A random id that also works where the page is not served over TLS. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
