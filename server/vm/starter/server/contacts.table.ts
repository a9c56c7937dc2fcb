import { pgTable, text, timestamp } from 'drizzle-orm/pg-core'

export const contacts = pgTable('contacts', {
  email: text('email').primaryKey(),
  firstName: text('first_name'),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
})
