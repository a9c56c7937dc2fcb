import { useState } from 'react'
import { kilometres } from '../runs'
import { useGoal } from '../useGoal'
import SetGoal from './SetGoal'

/** How much of the week's goal is run, and the way to change the goal. */
export default function WeekGoal({ km }: { km: number }) {
  const { goal, save } = useGoal()
  const [setting, setSetting] = useState(false)
  if (goal === undefined) return <div className="mt-4 h-12" />

  return (
    <>
      <button type="button" className="mt-4 flex h-12 w-full flex-col justify-center gap-2 text-left" onClick={() => setSetting(true)}>
        {goal === null ? (
          <span className="text-[0.9375rem] font-semibold underline decoration-white/50 underline-offset-4">Set a weekly goal</span>
        ) : (
          <>
            <span className="flex w-full justify-between text-[0.875rem] tabular-nums">
              <span className="font-semibold">{said(goal - km)}</span>
              <span className="text-white/85">Goal {kilometres(goal)} km</span>
            </span>
            <progress className="sr-only" value={Math.min(km, goal)} max={goal} aria-label="Weekly goal" />
            <span aria-hidden className="h-2 w-full overflow-hidden rounded-full bg-white/20">
              <i className="block h-full rounded-full bg-white transition-[width] duration-500" style={{ width: `${Math.min(100, (km / goal) * 100)}%` }} />
            </span>
          </>
        )}
      </button>
      {setting && <SetGoal goal={goal} onSave={save} onClose={() => setSetting(false)} />}
    </>
  )
}

const said = (left: number) => (left > 0 ? `${kilometres(left)} km to go` : 'Goal reached')
