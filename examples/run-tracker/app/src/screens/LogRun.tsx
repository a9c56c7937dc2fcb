import { useEffect, useRef, useState, type FormEvent } from 'react'
import { newId, pace, type Run } from '../runs'

type Props = { now: string; onSave: (run: Run) => void; onClose: () => void }

/** The sheet on which a run is written down. It closes at once; saving goes on behind it. */
export default function LogRun({ now, onSave, onClose }: Props) {
  const sheet = useRef<HTMLDialogElement>(null)
  const [distance, setDistance] = useState('')
  const [time, setTime] = useState({ h: '', m: '', s: '' })
  const [ranOn, setRanOn] = useState(now)
  const [note, setNote] = useState('')
  const [problem, setProblem] = useState('')

  useEffect(() => sheet.current?.showModal(), [])

  const km = Number(distance.replace(',', '.'))
  const seconds = Number(time.h) * 3600 + Number(time.m) * 60 + Number(time.s)

  function submit(event: FormEvent) {
    event.preventDefault()
    const wrong = whatIsWrong(km, seconds, ranOn, now)
    setProblem(wrong?.text ?? '')
    if (wrong) return document.getElementById(wrong.field)?.focus()
    onSave({ id: newId(), distanceKm: Math.round(km * 100) / 100, durationSeconds: seconds, ranOn, note: note.trim() })
    sheet.current?.close()
  }

  return (
    <dialog ref={sheet} className="sheet" aria-labelledby="log-title" onClose={onClose}>
      <form onSubmit={submit} noValidate className="safe-bottom px-6 pt-5">
        <div className="flex items-center justify-between">
          <h2 id="log-title" className="text-[1.625rem] font-semibold tracking-[-0.025em]">
            Log a run
          </h2>
          <button type="button" className="icon-button -mr-3" onClick={() => sheet.current?.close()} aria-label="Close">
            <svg aria-hidden viewBox="0 0 20 20" className="size-5" fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round">
              <path d="M5 5l10 10M15 5L5 15" />
            </svg>
          </button>
        </div>

        <label htmlFor="distance" className="label mt-4">
          Distance
        </label>
        <div className="field flex items-baseline gap-2 pr-4">
          <input
            id="distance"
            className="font-display min-w-0 flex-1 bg-transparent px-4 py-2.5 text-[2.5rem] leading-tight font-semibold tracking-[-0.03em] tabular-nums outline-none"
            inputMode="decimal"
            autoComplete="off"
            placeholder="0"
            value={distance}
            onChange={(event) => setDistance(event.target.value)}
            aria-describedby="problem"
            autoFocus
          />
          <span className="text-muted text-[1.125rem] font-semibold">km</span>
        </div>

        <fieldset className="mt-4">
          <legend className="label">Duration</legend>
          <div className="grid grid-cols-3 gap-2">
            {([['h', 'hr'], ['m', 'min'], ['s', 'sec']] as const).map(([part, unit]) => (
              <label key={part} className="field flex items-baseline gap-1 pr-3">
                <input
                  id={`time-${part}`}
                  className="min-w-0 flex-1 bg-transparent py-3 pl-3.5 text-[1.25rem] font-semibold tabular-nums outline-none"
                  inputMode="numeric"
                  autoComplete="off"
                  placeholder="0"
                  maxLength={part === 'h' ? 2 : 3}
                  value={time[part]}
                  onChange={(event) => setTime({ ...time, [part]: event.target.value.replace(/\D/g, '') })}
                />
                <span className="text-muted text-[0.875rem]">{unit}</span>
              </label>
            ))}
          </div>
        </fieldset>

        <div className="mt-4 grid grid-cols-[9.5rem_1fr] gap-2">
          <div>
            <label htmlFor="ran-on" className="label">
              Day
            </label>
            <input id="ran-on" type="date" className="field h-12 w-full px-3.5" max={now} value={ranOn} onChange={(event) => setRanOn(event.target.value)} />
          </div>
          <div>
            <label htmlFor="note" className="label">
              Note <span className="text-muted font-normal">(optional)</span>
            </label>
            <input id="note" className="field h-12 w-full px-3.5" maxLength={280} placeholder="Along the river" value={note} onChange={(event) => setNote(event.target.value)} />
          </div>
        </div>

        <p id="problem" role="alert" className="text-danger mt-3 min-h-6 text-[0.9375rem]">
          {problem}
        </p>
        <button type="submit" className="button-primary mt-1 flex w-full items-center justify-between px-6">
          <span>Save run</span>
          <span className="font-medium tabular-nums opacity-90">{pace(km, seconds)} /km</span>
        </button>
      </form>
    </dialog>
  )
}

/** What to say, and the field to go to. */
function whatIsWrong(km: number, seconds: number, ranOn: string, now: string) {
  if (!(km >= 0.01 && km <= 1000)) return { field: 'distance', text: 'Enter a distance, such as 5.2.' }
  if (!(seconds > 0 && seconds <= 172_800)) return { field: 'time-m', text: 'Enter how long it took.' }
  if (!ranOn) return { field: 'ran-on', text: 'Enter the day of the run.' }
  if (ranOn > now) return { field: 'ran-on', text: 'A run cannot be in the future.' }
  return null
}
