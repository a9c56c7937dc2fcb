import { Resend } from 'resend'

type Mail = { to: string | string[]; subject: string; html: string; text?: string }
type Sent = { sent: true; id: string } | { sent: false; reason: string }

/**
 * Sends one mail. `once` makes it safe to repeat: the same text within a day sends nothing twice.
 * A missing key or a refusal is an answer, not an exception.
 */
export async function sendMail(mail: Mail, once?: string): Promise<Sent> {
  const key = process.env.RESEND_API_KEY
  const from = process.env.RESEND_FROM
  if (!key || !from) return { sent: false, reason: 'Mail is not set up for this app.' }
  try {
    const { data, error } = await new Resend(key).emails.send({ from, ...mail }, once ? { idempotencyKey: once } : {})
    if (data) return { sent: true, id: data.id }
    console.error('mail refused:', error?.name)
  } catch (error) {
    console.error('mail not sent:', error instanceof Error ? error.name : error)
  }
  return { sent: false, reason: 'The mail could not be sent.' }
}
