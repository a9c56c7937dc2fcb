import { Resend } from 'resend'
import { contacts } from './contacts.table'
import { db } from './db'

type Contact = { email: string; firstName?: string }

/**
 * Keeps a contact in the app's own database, then puts it on the mailing list.
 * The database is the truth: a list that cannot be reached loses nobody. Repeating it changes nothing.
 */
export async function addContact(contact: Contact): Promise<{ stored: boolean; listed: boolean }> {
  if (db) await db.insert(contacts).values(contact).onConflictDoNothing()
  try {
    return { stored: db !== null, listed: await list(contact) }
  } catch (error) {
    console.error('contact not listed:', error instanceof Error ? error.name : error)
    return { stored: db !== null, listed: false }
  }
}

async function list({ email, firstName }: Contact): Promise<boolean> {
  const { MK0R_CONTACTS_URL, MK0R_CONTACTS_TOKEN, RESEND_API_KEY, RESEND_AUDIENCE_ID } = process.env
  // The app's own key may only send; here the list is written through a relay that knows this app's list alone.
  if (MK0R_CONTACTS_URL && MK0R_CONTACTS_TOKEN) {
    const answer = await fetch(MK0R_CONTACTS_URL, {
      method: 'POST',
      headers: { authorization: `Bearer ${MK0R_CONTACTS_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ email, first_name: firstName }),
      signal: AbortSignal.timeout(10_000),
    })
    return answer.ok
  }
  // Elsewhere: the owner's own key, which may write contacts.
  if (RESEND_API_KEY && RESEND_AUDIENCE_ID) {
    const segments = [{ id: RESEND_AUDIENCE_ID }]
    const { error } = await new Resend(RESEND_API_KEY).contacts.create({ email, firstName, segments })
    return error === null
  }
  return false
}
