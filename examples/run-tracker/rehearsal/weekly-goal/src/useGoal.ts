import { useEffect, useState } from 'react'

/** The weekly goal in kilometres: null where none is set, undefined until that is known. */
export function useGoal() {
  const [goal, setGoal] = useState<number | null>()

  useEffect(() => {
    ask().then(setGoal, () => setGoal(undefined))
  }, [])

  /** Rejects with a sentence for the runner when the goal could not be saved. */
  async function save(weeklyKm: number | null) {
    setGoal(await ask({ method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ weeklyKm }) }))
  }

  return { goal, save }
}

async function ask(init?: RequestInit): Promise<number | null> {
  const answer = await fetch('/api/goal', { ...init, signal: AbortSignal.timeout(15_000) }).catch(() => null)
  if (!answer) throw new Error('No connection. Check it and try again.')
  const body = await answer.json().catch(() => null)
  if (!answer.ok) throw new Error(body?.error ?? 'The goal could not be saved. Try again.')
  return body.weeklyKm
}
