import { Hono } from 'hono'
import { readGoal, saveGoal } from '../goal'

export const goal = new Hono()

goal.get('/', async (c) => c.json({ weeklyKm: await readGoal() }))

goal.put('/', async (c) => {
  const { weeklyKm } = (await c.req.json().catch(() => null)) ?? {}
  const fits = typeof weeklyKm === 'number' && weeklyKm >= 1 && weeklyKm <= 1000
  if (weeklyKm !== null && !fits) return c.json({ error: 'Enter a goal between 1 and 1000 km.' }, 400)
  await saveGoal(weeklyKm)
  return c.json({ weeklyKm })
})
