import { useEffect, useRef, useState } from 'react'
import { monday, today, weeksOf, type Run } from './runs'
import LogRun from './screens/LogRun'
import { Empty, Failed, Loading, NotKept } from './screens/States'
import Toast, { type Message } from './screens/Toast'
import WeekList from './screens/WeekList'
import WeekSummary from './screens/WeekSummary'
import { useRuns } from './useRuns'

export default function App() {
  const { status, runs, kept, saving, load, add, restore, remove } = useRuns()
  const [logging, setLogging] = useState(false)
  const [message, setMessage] = useState<Message | null>(null)
  const now = useToday()

  async function save(run: Run, how = add) {
    setMessage(null)
    try {
      await how(run)
    } catch (error) {
      setMessage({ text: said(error), action: 'Try again', act: () => void save(run, how) })
    }
  }

  async function erase(run: Run) {
    setMessage({ text: 'Run deleted.', action: 'Undo', act: () => void save(run, restore) })
    try {
      await remove(run)
    } catch (error) {
      setMessage({ text: said(error) })
    }
  }

  return (
    <div className="mx-auto min-h-dvh max-w-md pb-36">
      <WeekSummary
        start={monday(now)}
        now={now}
        runs={runs.filter((run) => monday(run.ranOn) === monday(now))}
        known={status === 'ready'}
      />
      <main className="px-5 pt-6">
        {!kept && <NotKept />}
        {status === 'loading' && <Loading />}
        {status === 'failed' && <Failed onRetry={() => void load()} />}
        {status === 'ready' && runs.length === 0 && <Empty />}
        {status === 'ready' && weeksOf(runs, now).map((week) => (
          <WeekList key={week.start} week={week} saving={saving} onDelete={(run) => void erase(run)} />
        ))}
      </main>
      <div className="log-bar">
        <Toast message={message} onGone={() => setMessage(null)} />
        <button type="button" className="button-primary w-full" onClick={() => setLogging(true)}>
          Log a run
        </button>
      </div>
      {logging && <LogRun now={now} onSave={(run) => void save(run)} onClose={() => setLogging(false)} />}
    </div>
  )
}

const said = (error: unknown) => (error instanceof Error ? error.message : 'That did not work. Try again.')

/** Today, also for an app left open over midnight. */
function useToday() {
  const [day, setDay] = useState(today)
  const shown = useRef(day)
  useEffect(() => {
    const check = () => {
      if (shown.current !== today()) setDay((shown.current = today()))
    }
    const timer = setInterval(check, 30_000)
    return () => clearInterval(timer)
  }, [])
  return day
}
