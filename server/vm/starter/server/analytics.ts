import { PostHog } from 'posthog-node'

const { VITE_POSTHOG_KEY: key, VITE_POSTHOG_HOST: host, VITE_POSTHOG_APP_ID: app } = process.env
const client = key ? new PostHog(key, { host, flushAt: 1, flushInterval: 0 }) : null

/** Records what happened on the server, under this app's group. Does nothing without a key. */
export function track(distinctId: string, event: string, properties: Record<string, unknown> = {}) {
  client?.capture({ distinctId, event, properties, groups: app ? { app } : undefined })
}
