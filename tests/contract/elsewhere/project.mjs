// A project that knows nothing of mk0r: the vendors' own SDKs, pointed nowhere but by the environment.
import Anthropic from '@anthropic-ai/sdk'
import { createApiClient } from '@neondatabase/api-client'
import { Sandbox } from 'e2b'
import { App, Octokit } from 'octokit'
import { PostHog } from 'posthog-node'
import { Resend } from 'resend'

const { env } = process

const { data, error } = await new Resend().emails.send({
  from: 'app@mk0r.localhost', to: 'delivered@resend.dev', subject: 'Hello', text: 'Hi',
})
console.log('mail', data?.id ?? error)

const neon = createApiClient({ apiKey: env.NEON_API_KEY, baseURL: env.NEON_API_HOST })
const { project } = (await neon.createProject({ project: { name: 'not-mk0r-js' } })).data
console.log('database', project.id)
await neon.deleteProject(project.id)

const hub = new Octokit({ auth: env.GITHUB_TOKEN, baseUrl: env.GITHUB_API_URL })
const repository = (await hub.rest.repos.createForAuthenticatedUser({ name: 'not-mk0r-js', private: true })).data
console.log('repository', repository.full_name)
await hub.rest.repos.delete({ owner: repository.owner.login, repo: repository.name })

const app = new App({
  appId: env.GITHUB_APP_ID, privateKey: env.GITHUB_APP_PRIVATE_KEY, Octokit: Octokit.defaults({ baseUrl: env.GITHUB_API_URL }),
})
const installed = await app.getInstallationOctokit(Number(env.GITHUB_APP_INSTALLATION_ID))
console.log('app', (await installed.request('GET /installation/repositories')).status === 200)

const analytics = new PostHog(env.POSTHOG_KEY, { host: env.POSTHOG_HOST })
await analytics.captureImmediate({ distinctId: 'ada', event: 'hello' })
console.log('event', 'sent')
await analytics.shutdown()

const asked = await fetch(`${env.POSTHOG_HOST}/api/projects/@current/feature_flags/`, {
  headers: { authorization: `Bearer ${env.POSTHOG_PERSONAL_API_KEY}` },
})
console.log('flags', (await asked.json()).count)

const sandbox = await Sandbox.create()
console.log('sandbox', (await sandbox.commands.run('echo $((6 * 7))')).stdout.trim())
await sandbox.kill()

for await (const model of new Anthropic().models.list()) console.log('model', model.id)
