/** Which services this app has. Any of them may be missing; the app works with what is there. */
export function live() {
  const has = (...names: string[]) => names.every((name) => Boolean(process.env[name]))
  return {
    database: has('DATABASE_URL'),
    mail: has('RESEND_API_KEY'),
    analytics: has('VITE_POSTHOG_KEY'),
    git: has('GITHUB_REPO'),
  }
}

export type Services = ReturnType<typeof live>
