const { VITE_POSTHOG_KEY: key, VITE_POSTHOG_HOST: host, VITE_POSTHOG_APP_ID: app } = import.meta.env

// Loaded after the first screen, and only where there is a key.
const posthog = key ? import('posthog-js').then(({ default: client }) => start(client, key)) : null

function start(client: typeof import('posthog-js').default, key: string) {
  client.init(key, {
    api_host: host,
    autocapture: false,
    disable_session_recording: true,
    disable_external_dependency_loading: true,
    advanced_disable_flags: true, // events only: no request before the first of them
    person_profiles: 'identified_only',
  })
  if (app) client.group('app', app)
  return client
}

/** Records an event under this app's group. Does nothing without a key, and never throws. */
export function track(event: string, properties: Record<string, unknown> = {}) {
  posthog?.then((client) => client.capture(event, properties)).catch(() => {})
}
