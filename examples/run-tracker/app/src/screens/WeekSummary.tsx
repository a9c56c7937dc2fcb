import { clock, daysOf, kilometres, pace, show, total, type Run } from '../runs'

/** `known` is false while the runs are not here: a nought would be a claim. */
type Props = { start: string; now: string; runs: Run[]; known: boolean }

/** The week at a glance: how far, how long, how fast, and on which days. */
export default function WeekSummary({ start, now, runs, known }: Props) {
  const { km, seconds } = total(runs)
  return (
    <header className="track safe-top">
      <Lanes />
      <div className="relative px-6 pb-6">
        <h1 className="font-sans text-[0.9375rem] font-semibold">This week</h1>
        <p className="font-display mt-1 flex items-baseline gap-2 tracking-[-0.045em]">
          <span className="text-[5.25rem] leading-none font-bold tabular-nums">{known ? kilometres(km) : '–'}</span>
          <span className="text-[1.75rem] font-semibold tracking-[-0.02em]">km</span>
        </p>
        <Days start={start} now={now} runs={runs} />
        <dl className={`mt-5 grid grid-cols-3 gap-4 ${known ? '' : 'invisible'}`}>
          <Fact name={runs.length === 1 ? 'Run' : 'Runs'} value={String(runs.length)} />
          <Fact name="Time" value={seconds ? clock(seconds) : '–'} />
          <Fact name="Pace /km" value={pace(km, seconds)} />
        </dl>
      </div>
    </header>
  )
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex flex-col-reverse">
      <dt className="text-[0.8125rem] text-white/85">{name}</dt>
      <dd className="font-display text-[1.375rem] font-semibold tracking-[-0.02em] tabular-nums">{value}</dd>
    </div>
  )
}

function Days({ start, now, runs }: { start: string; now: string; runs: Run[] }) {
  const days = daysOf(start, runs)
  const longest = Math.max(...days.map(({ km }) => km), 1)
  return (
    <ol className="mt-6 grid grid-cols-7 gap-2" aria-label="Kilometres by day">
      {days.map(({ day, km }) => (
        <li key={day} className="flex flex-col items-center gap-2">
          <span className="sr-only">
            {show(day, { weekday: 'long' })}: {kilometres(km)} km
          </span>
          <span aria-hidden className="day-bar">
            <i style={{ height: km ? `${Math.max(12, (km / longest) * 100)}%` : '0' }} />
          </span>
          <span aria-hidden className={`day-name ${day === now ? 'day-today' : ''}`}>
            {show(day, { weekday: 'narrow' })}
          </span>
        </li>
      ))}
    </ol>
  )
}

/** The bend of a running track, kept clear of the figures. */
function Lanes() {
  return (
    <svg aria-hidden className="lanes" viewBox="0 0 240 340" preserveAspectRatio="xMaxYMid slice">
      {[58, 92, 126, 160, 194, 228].map((radius) => (
        <path
          key={radius}
          d={`M 0 ${170 - radius} H 60 A ${radius} ${radius} 0 0 1 60 ${170 + radius} H 0`}
          fill="none"
          stroke="white"
          strokeOpacity="0.24"
          strokeWidth="1.5"
        />
      ))}
    </svg>
  )
}
