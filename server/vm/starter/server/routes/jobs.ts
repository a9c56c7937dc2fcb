import { createHash, timingSafeEqual } from 'node:crypto'
import { Hono } from 'hono'
import { jobs as declared } from '../jobs'

/** GET lists the jobs; POST /:name runs one, for whoever holds the app's token. */
export const jobs = new Hono()

jobs.get('/', (c) => c.json({ jobs: declared.map(({ name, schedule }) => ({ name, schedule })) }))

jobs.post('/:name', async (c) => {
  if (!allowed(c.req.header('authorization'))) return c.json({ error: 'This needs the app\'s token.' }, 401)
  const job = declared.find(({ name }) => name === c.req.param('name'))
  if (!job) return c.json({ error: 'No job has this name.' }, 404)
  await job.run()
  return c.json({ ran: job.name })
})

function allowed(header = '') {
  const token = process.env.MK0R_JOBS_TOKEN
  if (!token) return false
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(header), digest(`Bearer ${token}`))
}
