/**
 * The tables of this app. After a change: `npm run db:generate`, then `npm run db:migrate`.
 *
 *   import { pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
 *
 *   export const notes = pgTable('notes', {
 *     id: uuid('id').primaryKey().defaultRandom(),
 *     body: text('body').notNull(),
 *     createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
 *   })
 *
 * To keep contacts (server/contacts.ts), add: export * from './contacts.table'
 */
export {}
