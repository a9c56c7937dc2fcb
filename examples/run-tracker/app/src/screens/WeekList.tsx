import { clock, kilometres, pace, show, type Run, type Week } from '../runs'

type Props = { week: Week; saving: ReadonlySet<string>; onDelete: (run: Run) => void }

/** One week's runs under its total. */
export default function WeekList({ week, saving, onDelete }: Props) {
  return (
    <section aria-labelledby={`week-${week.start}`} className="mb-8">
      <div className="mb-3 flex items-baseline justify-between px-1">
        <h2 id={`week-${week.start}`} className="text-[1.1875rem] font-semibold tracking-[-0.015em]">
          {week.title}
        </h2>
        <p className="text-muted text-[0.875rem] tabular-nums">
          {kilometres(week.km)} km · {pace(week.km, week.seconds)} /km
        </p>
      </div>
      <ul className="bg-card divide-line divide-y overflow-hidden rounded-[1.375rem]">
        {week.runs.map((run) => (
          <Row key={run.id} run={run} saving={saving.has(run.id)} onDelete={() => onDelete(run)} />
        ))}
      </ul>
    </section>
  )
}

function Row({ run, saving, onDelete }: { run: Run; saving: boolean; onDelete: () => void }) {
  const day = show(run.ranOn, { weekday: 'long', day: 'numeric', month: 'long' })
  return (
    <li className={`run-row ${saving ? 'opacity-55' : ''}`} aria-busy={saving}>
      <time dateTime={run.ranOn} aria-label={day} className="w-9 shrink-0 text-center">
        <span className="text-muted block text-[0.75rem] leading-tight">{show(run.ranOn, { weekday: 'short' })}</span>
        <span className="font-display block text-[1.375rem] leading-tight font-semibold tabular-nums">
          {show(run.ranOn, { day: 'numeric' })}
        </span>
      </time>
      <div className="min-w-0 flex-1">
        <p className="flex items-baseline justify-between gap-3 tabular-nums">
          <span className="text-[1.0625rem] font-semibold">{kilometres(run.distanceKm)} km</span>
          <span className="text-muted text-[0.875rem]">
            {clock(run.durationSeconds)} · {pace(run.distanceKm, run.durationSeconds)} /km
          </span>
        </p>
        {run.note && <p className="text-muted mt-0.5 text-[0.9375rem] leading-snug break-words">{run.note}</p>}
      </div>
      <button type="button" className="icon-button" onClick={onDelete} disabled={saving} aria-label={`Delete the run of ${day}`}>
        <svg aria-hidden viewBox="0 0 20 20" className="size-[1.125rem]" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round">
          <path d="M5.5 5.5l9 9M14.5 5.5l-9 9" />
        </svg>
      </button>
    </li>
  )
}
