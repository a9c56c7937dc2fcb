import { Hono } from 'hono'
import { deleteRun, kept, listRuns, saveRun, type Run } from '../runs'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const DAY_MS = 86_400_000

export const runs = new Hono()

runs.get('/', async (c) => c.json({ runs: await listRuns(), kept }))

runs.post('/', async (c) => {
  const run = readRun(await c.req.json().catch(() => null))
  if (typeof run === 'string') return c.json({ error: run }, 400)
  await saveRun(run)
  return c.json({ run }, 201)
})

runs.delete('/:id', async (c) => {
  const id = c.req.param('id')
  if (!UUID.test(id)) return c.json({ error: 'There is no such run.' }, 404)
  await deleteRun(id)
  return c.body(null, 204)
})

/** A run that may be saved, or the sentence that says what is wrong with it. */
function readRun(body: unknown): Run | string {
  const { id, distanceKm, durationSeconds, ranOn, note = '' } = (body ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || !UUID.test(id)) return 'The run has no id.'
  if (typeof distanceKm !== 'number' || !(distanceKm >= 0.01 && distanceKm <= 1000)) {
    return 'Enter a distance between 0.01 and 1000 km.'
  }
  if (!Number.isInteger(durationSeconds) || !within(durationSeconds as number, 1, 172_800)) {
    return 'Enter a duration of up to 48 hours.'
  }
  if (typeof ranOn !== 'string' || !isDay(ranOn)) return 'Enter the day of the run.'
  // A day's grace: it may be tomorrow already where the runner is.
  if (Date.parse(ranOn) > Date.now() + DAY_MS) return 'A run cannot be in the future.'
  if (typeof note !== 'string' || note.length > 280) return 'Keep the note under 280 characters.'
  return { id, distanceKm, durationSeconds: durationSeconds as number, ranOn, note: note.trim() }
}

const within = (value: number, low: number, high: number) => value >= low && value <= high

function isDay(text: string) {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}
