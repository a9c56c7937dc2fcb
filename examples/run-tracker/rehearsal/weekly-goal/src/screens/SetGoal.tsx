import { useEffect, useRef, useState, type FormEvent } from 'react'

type Props = { goal: number | null; onSave: (weeklyKm: number | null) => Promise<void>; onClose: () => void }

/** The sheet on which the weekly goal is set, changed or taken away. */
export default function SetGoal({ goal, onSave, onClose }: Props) {
  const sheet = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState(goal === null ? '' : String(goal))
  const [problem, setProblem] = useState('')
  const [saving, setSaving] = useState(false)

  useEffect(() => sheet.current?.showModal(), [])

  async function save(weeklyKm: number | null) {
    setSaving(true)
    try {
      await onSave(weeklyKm)
      sheet.current?.close()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'The goal could not be saved. Try again.')
      setSaving(false)
    }
  }

  function submit(event: FormEvent) {
    event.preventDefault()
    const km = Math.round(Number(text.replace(',', '.')) * 100) / 100
    if (km >= 1 && km <= 1000) void save(km)
    else setProblem('Enter a goal between 1 and 1000 km.')
  }

  return (
    <dialog ref={sheet} className="sheet" aria-labelledby="goal-title" onClose={onClose}>
      <form onSubmit={submit} noValidate className="safe-bottom px-6 pt-5">
        <h2 id="goal-title" className="text-[1.625rem] font-semibold tracking-[-0.025em]">
          Weekly goal
        </h2>
        <label htmlFor="goal" className="label mt-4">
          Kilometres a week
        </label>
        <input
          id="goal"
          className="field font-display w-full px-4 py-2.5 text-[2.5rem] leading-tight font-semibold tabular-nums"
          inputMode="decimal"
          autoComplete="off"
          placeholder="25"
          value={text}
          onChange={(event) => setText(event.target.value)}
          aria-describedby="goal-problem"
          autoFocus
        />
        <p id="goal-problem" role="alert" className="text-danger mt-3 min-h-6 text-[0.9375rem]">
          {problem}
        </p>
        <button type="submit" className="button-primary mt-1 w-full" disabled={saving}>
          Save goal
        </button>
        <div className="mt-2 flex justify-center gap-2">
          {goal !== null && (
            <button type="button" className="text-danger h-12 px-5 font-semibold" disabled={saving} onClick={() => void save(null)}>
              Remove goal
            </button>
          )}
          <button type="button" className="text-muted h-12 px-5 font-semibold" onClick={() => sheet.current?.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  )
}
