import type { ReactNode } from 'react'

/** The runs are on their way. */
export function Loading() {
  return (
    <div role="status">
      <span className="sr-only">Loading your runs</span>
      <div aria-hidden className="bg-card divide-line divide-y overflow-hidden rounded-[1.375rem]">
        {[64, 52, 70].map((width) => (
          <div key={width} className="flex items-center gap-4 p-4">
            <div className="bone size-9" />
            <div className="bone h-4" style={{ width: `${width}%` }} />
          </div>
        ))}
      </div>
    </div>
  )
}

export function Empty() {
  return (
    <Centred title="Your first run goes here">
      Write down how far and how long. The week adds itself up, and your pace with it.
    </Centred>
  )
}

export function Failed({ onRetry }: { onRetry: () => void }) {
  return (
    <Centred title="Your runs could not be loaded">
      Check the connection and try again.
      <button type="button" className="button-quiet mt-5" onClick={onRetry}>
        Try again
      </button>
    </Centred>
  )
}

/** Said openly: without a database nothing lasts. */
export function NotKept() {
  return (
    <p className="border-line text-muted mb-5 rounded-2xl border px-4 py-3 text-[0.9375rem] leading-snug">
      <strong className="text-ink font-semibold">No database is connected.</strong> Runs stay in memory and are gone when the app restarts.
    </p>
  )
}

function Centred({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="flex flex-col items-center px-6 py-12 text-center">
      <svg aria-hidden viewBox="0 0 96 56" className="text-accent w-24" fill="none" stroke="currentColor" strokeWidth="4" strokeLinecap="round">
        <rect x="3" y="3" width="90" height="50" rx="25" strokeOpacity="0.25" />
        <rect x="15" y="15" width="66" height="26" rx="13" strokeOpacity="0.25" />
        <path d="M28 53 A 25 25 0 0 1 28 3 H 52" />
      </svg>
      <h2 className="mt-6 text-[1.375rem] font-semibold tracking-[-0.02em]">{title}</h2>
      <div className="text-muted mt-2 max-w-[17rem] leading-normal text-pretty">{children}</div>
    </section>
  )
}
