import { useEffect, useState } from 'react'
import type { Services } from '../../server/services'
import './being-built.css'

const LIGHTS: { service: keyof Services; name: string; on: string }[] = [
  { service: 'database', name: 'Database', on: 'Postgres, ready' },
  { service: 'mail', name: 'Mail', on: 'Ready to send' },
  { service: 'analytics', name: 'Analytics', on: 'Listening' },
  { service: 'git', name: 'Code', on: 'Private repo' },
]

/** What a new app shows until its first screen is written. */
export default function BeingBuilt() {
  const services = useServices()
  return (
    <main className="safe-top safe-bottom mx-auto flex min-h-dvh max-w-md flex-col px-6">
      <Drawing />
      <h1 className="mt-9 text-[2.5rem] leading-[1.02] font-semibold tracking-[-0.03em]">
        Your app is being built
      </h1>
      <p className="text-muted mt-3 max-w-[20rem] text-[1.0625rem] leading-normal text-pretty">
        Stay on this screen. It turns into your app as soon as there is something to see.
      </p>
      <section aria-label="Services" aria-live="polite" className="mt-8">
        <ul className="bg-line grid grid-cols-2 gap-px overflow-hidden rounded-[1.375rem]">
          {LIGHTS.map(({ service, name, on }) => (
            <Light key={service} name={name} text={services?.[service] ? on : 'Waiting'} on={services?.[service]} />
          ))}
        </ul>
      </section>
    </main>
  )
}

function Light({ name, text, on = false }: { name: string; text: string; on?: boolean }) {
  return (
    <li className="bg-card flex flex-col gap-4 p-4">
      <span aria-hidden className={`light ${on ? 'light-on' : ''}`} />
      <span>
        <span className="block text-[0.9375rem] font-semibold">{name}</span>
        <span className="text-muted block text-[0.8125rem]">{text}</span>
      </span>
    </li>
  )
}

/** A phone screen drawing itself, piece by piece. */
function Drawing() {
  return (
    <div aria-hidden className="drawing flex-1">
      <div className="drawing-phone">
        <i style={{ top: '9%', left: '10%', width: '46%', height: '5.5%' }} />
        <i style={{ top: '17.5%', left: '10%', width: '28%', height: '3%' }} />
        <i className="accent" style={{ top: '26%', left: '10%', right: '10%', height: '25%' }} />
        <i style={{ top: '56%', left: '10%', right: '10%', height: '10%' }} />
        <i style={{ top: '69.5%', left: '10%', right: '10%', height: '10%' }} />
        <i style={{ top: '83%', left: '10%', right: '10%', height: '10%' }} />
      </div>
    </div>
  )
}

/** Asks until all four are on; a new one also restarts the server, which reloads the page. */
function useServices() {
  const [services, setServices] = useState<Services>()
  const done = services && Object.values(services).every(Boolean)
  useEffect(() => {
    if (done) return
    let timer: ReturnType<typeof setTimeout>
    const gone = new AbortController()
    const ask = async () => {
      try {
        const answer = await fetch('/api/health', { signal: gone.signal })
        if (answer.ok) setServices(((await answer.json()) as { services: Services }).services)
      } catch {
        // The server is restarting; the next question will find it.
      }
      if (!gone.signal.aborted) timer = setTimeout(ask, 2000)
    }
    void ask()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }, [done])
  return services
}
