import { desc, eq } from 'drizzle-orm'
import { db } from './db'
import { runs } from './schema'

export type Run = { id: string; distanceKm: number; durationSeconds: number; ranOn: string; note: string }

/** Where runs go without a database: this process, until it ends. */
const memory = new Map<string, Run>()

/** Whether a run is still there tomorrow. */
export const kept = db !== null

const fields = {
  id: runs.id,
  distanceKm: runs.distanceKm,
  durationSeconds: runs.durationSeconds,
  ranOn: runs.ranOn,
  note: runs.note,
}

export async function listRuns(): Promise<Run[]> {
  if (db) return db.select(fields).from(runs).orderBy(desc(runs.ranOn), desc(runs.createdAt)).limit(500)
  return [...memory.values()].reverse().sort((a, b) => b.ranOn.localeCompare(a.ranOn))
}

/** Saving the same id again changes nothing. */
export async function saveRun(run: Run): Promise<void> {
  if (db) await db.insert(runs).values(run).onConflictDoNothing()
  else memory.set(run.id, run)
}

/** Deleting what is gone is fine. */
export async function deleteRun(id: string): Promise<void> {
  if (db) await db.delete(runs).where(eq(runs.id, id))
  else memory.delete(id)
}
