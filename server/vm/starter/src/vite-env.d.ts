/// <reference types="vite/client" />

/** The only three names the browser ever sees. */
interface ImportMetaEnv {
  readonly VITE_POSTHOG_KEY?: string
  readonly VITE_POSTHOG_HOST?: string
  readonly VITE_POSTHOG_APP_ID?: string
}
