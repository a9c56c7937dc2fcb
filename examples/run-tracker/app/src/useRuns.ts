import { useCallback, useEffect, useRef, useState } from 'react'
import { track } from './analytics'
import type { Run } from './runs'

type Status = 'loading' | 'ready' | 'failed'

/** The runs, changed on the screen at once and put back where the server does not agree. */
export function useRuns() {
  const [status, setStatus] = useState<Status>('loading')
  const [runs, setRuns] = useState<Run[]>([])
  const [kept, setKept] = useState(true)
  const [saving, setSaving] = useState<ReadonlySet<string>>(new Set())

  const load = useCallback(async () => {
    setStatus('loading')
    try {
      const answer = await ask<{ runs: Run[]; kept: boolean }>('/api/runs')
      setRuns(answer.runs)
      setKept(answer.kept)
      setStatus('ready')
    } catch {
      setStatus('failed')
    }
  }, [])

  useEffect(() => void load(), [load])

  const put = (run: Run) =>
    setRuns((all) => [run, ...all.filter(({ id }) => id !== run.id)].sort((a, b) => b.ranOn.localeCompare(a.ranOn)))
  const drop = (id: string) => setRuns((all) => all.filter((run) => run.id !== id))

  // One change after the other: an undo that overtakes its delete would lose the run.
  const last = useRef<Promise<unknown>>(Promise.resolve())
  function inTurn(change: () => Promise<unknown>) {
    const done = last.current.then(change)
    last.current = done.catch(() => {})
    return done
  }

  /** Rejects with a sentence for the runner when the run could not be saved; it is off the screen again then. */
  async function restore(run: Run) {
    put(run)
    setSaving((ids) => new Set(ids).add(run.id))
    try {
      await inTurn(() => ask('/api/runs', post(run)))
    } catch (error) {
      drop(run.id)
      throw error
    } finally {
      setSaving((ids) => new Set([...ids].filter((id) => id !== run.id)))
    }
  }

  async function add(run: Run) {
    await restore(run)
    track('run_saved', { distance_km: run.distanceKm, duration_seconds: run.durationSeconds })
  }

  async function remove(run: Run) {
    drop(run.id)
    try {
      await inTurn(() => ask(`/api/runs/${run.id}`, { method: 'DELETE' }))
    } catch (error) {
      put(run)
      throw error
    }
  }

  return { status, runs, kept, saving, load, add, restore, remove }
}

const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(path, { ...init, signal: AbortSignal.timeout(15_000) }).catch(() => null)
  if (!answer) throw new Error('No connection. Check it and try again.')
  const body = answer.status === 204 ? null : await answer.json().catch(() => null)
  if (!answer.ok) throw new Error(body?.error ?? 'That did not work. Try again.')
  return body as T
}
