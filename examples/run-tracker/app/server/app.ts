import { Hono } from 'hono'
import { jobs } from './routes/jobs'
import { runs } from './routes/runs'
import { live } from './services'

/** Every route of the app's server lives under /api. */
const app = new Hono().basePath('/api')

app.get('/health', (c) => c.json({ ok: true, services: live() }))
app.route('/jobs', jobs)
app.route('/runs', runs)

app.notFound((c) => c.json({ error: 'There is nothing here.' }, 404))
app.onError((error, c) => {
  // The log gets the story; the visitor gets a sentence, never an error text that may quote a secret.
  console.error(`${c.req.method} ${c.req.path}`, error)
  return c.json({ error: 'Something went wrong on the server. Try again in a moment.' }, 500)
})

export default app
