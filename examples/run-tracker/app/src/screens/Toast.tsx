import { useEffect, useRef } from 'react'

export type Message = { text: string; action?: string; act?: () => void }

const SHOWN_MS = 6000

/** One sentence about what just happened, and the one thing to do about it. */
export default function Toast({ message, onGone }: { message: Message | null; onGone: () => void }) {
  const gone = useRef(onGone)
  gone.current = onGone
  useEffect(() => {
    if (!message) return
    const timer = setTimeout(() => gone.current(), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [message])

  return (
    <div role="status" className="mb-3">
      {message && (
        <div className="toast">
          <span>{message.text}</span>
          {message.action && (
            <button type="button" className="toast-action" onClick={() => (onGone(), message.act?.())}>
              {message.action}
            </button>
          )}
        </div>
      )}
    </div>
  )
}
