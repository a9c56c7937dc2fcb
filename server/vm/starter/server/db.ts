import { neon } from '@neondatabase/serverless'
import { drizzle } from 'drizzle-orm/neon-http'
import * as schema from './schema'

const url = process.env.DATABASE_URL

/** The app's own Postgres, or null where there is none: check before use. */
export const db = url && URL.canParse(url) ? drizzle(neon(url), { schema }) : null
