import { serve } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { Hono } from 'hono'
import app from './app'
import { jobs } from './jobs'
import { runOnSchedule } from './schedule'

/** Production: the built pages and the API from one process. */
const site = new Hono()
site.all('/api/*', (c) => app.fetch(c.req.raw))
site.use('*', serveStatic({ root: 'dist/client' }))
site.get('*', serveStatic({ path: 'dist/client/index.html' }))

// Inside mk0r the schedule is kept outside, because a paused machine keeps none.
if (!process.env.MK0R_JOBS_TOKEN) runOnSchedule(jobs)

const port = Number(process.env.PORT ?? 3000)
serve({ fetch: site.fetch, port }, () => console.log(`listening on ${port}`))
