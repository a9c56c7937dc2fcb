import type { Job } from './jobs'

/** Bounds of the five cron fields; Sunday is 0, and 7 too. */
const FIELDS = [[0, 59], [0, 23], [1, 31], [1, 12], [0, 7]] as const

/** Is `schedule` due in the minute of `at` (UTC)? Knows `*`, lists, ranges and steps. */
export function due(schedule: string, at: Date): boolean {
  const fields = schedule.trim().split(/\s+/)
  if (fields.length !== FIELDS.length) throw new Error(`A schedule has five fields: ${schedule}`)
  const now = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCDay()]
  const hit = fields.map((field, i) => {
    const values = expand(field, FIELDS[i]![0], FIELDS[i]![1])
    return values.has(now[i]!) || (i === 4 && now[i] === 0 && values.has(7))
  })
  // As cron has it: with both days given, either will do.
  const bothDays = fields[2] !== '*' && fields[4] !== '*'
  const day = bothDays ? hit[2] || hit[4] : hit[2] && hit[4]
  return Boolean(hit[0] && hit[1] && hit[3] && day)
}

function expand(field: string, low: number, high: number): Set<number> {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part)
    if (!match) throw new Error(`Not a cron field: ${field}`)
    const from = match[1] ? Number(match[1]) : low
    const to = match[2] ? Number(match[2]) : match[1] && !match[3] ? from : high
    const step = Number(match[3] ?? 1)
    if (step < 1 || from < low || to > high) throw new Error(`Not a cron field: ${field}`)
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return values
}

/** Runs jobs at their minute for as long as this process lives. Returns how to stop. */
export function runOnSchedule(jobs: Job[]): () => void {
  let last = minute()
  const timer = setInterval(() => {
    const now = minute()
    if (now === last) return
    last = now
    for (const job of jobs.filter(({ schedule }) => due(schedule, new Date(now * 60_000)))) {
      job.run().catch((error: unknown) => console.error(`job ${job.name} failed:`, error))
    }
  }, 1000)
  return () => clearInterval(timer)
}

const minute = () => Math.floor(Date.now() / 60_000)
