/** Work that happens on a schedule. This file is the whole list. */
export type Job = {
  /** Lower-case words joined by dashes: it is part of an address. */
  name: string
  /** Five cron fields, in UTC: minute hour day-of-month month day-of-week. */
  schedule: string
  /** May run twice for one moment, so make it safe to repeat. */
  run: () => Promise<void>
}

export const jobs: Job[] = [
  // { name: 'weekly-summary', schedule: '0 18 * * 0', run: sendWeeklySummary },
]
