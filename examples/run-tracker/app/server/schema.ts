import { sql } from 'drizzle-orm'
import { check, date, index, integer, numeric, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'

export const runs = pgTable(
  'runs',
  {
    id: uuid('id').primaryKey(), // made on the phone, so that saving twice saves once
    distanceKm: numeric('distance_km', { precision: 6, scale: 2, mode: 'number' }).notNull(),
    durationSeconds: integer('duration_seconds').notNull(),
    pacePerKm: integer('pace_per_km')
      .notNull()
      .generatedAlwaysAs(sql`round(duration_seconds / distance_km)::int`),
    ranOn: date('ran_on').notNull(),
    note: text('note').notNull().default(''),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    index('runs_ran_on').on(table.ranOn),
    check('runs_distance', sql`${table.distanceKm} > 0`),
    check('runs_duration', sql`${table.durationSeconds} > 0`),
  ],
)
