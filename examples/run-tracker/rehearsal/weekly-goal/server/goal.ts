import { db } from './db'
import { goals } from './schema'

/** Where the goal goes without a database: this process, until it ends. */
let memory: number | null = null

/** Kilometres a week, or null where no goal is set. */
export async function readGoal(): Promise<number | null> {
  if (!db) return memory
  const [row] = await db.select({ weeklyKm: goals.weeklyKm }).from(goals)
  return row?.weeklyKm ?? null
}

/** Null takes the goal away. */
export async function saveGoal(weeklyKm: number | null): Promise<void> {
  if (!db) memory = weeklyKm
  else if (weeklyKm === null) await db.delete(goals)
  else await db.insert(goals).values({ weeklyKm }).onConflictDoUpdate({ target: goals.id, set: { weeklyKm } })
}
