import { expect, it } from 'vitest'
import { Precedence } from './precedence.ts'

it('keeps others still from the first that goes ahead to the last, whenever they come', async () => {
  const precedence = new Precedence()
  const told: string[] = []
  const hear = (name: string) => precedence.after((still) => told.push(`${name} ${still ? 'still' : 'on'}`))
  const forget = hear('early')
  const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const first = precedence.first(() => one.promise)
  hear('late')
  const second = precedence.first(() => two.promise)
  one.resolve()
  await first
  expect(told.splice(0)).toEqual(['early on', 'early still', 'late still'])
  forget()
  two.reject(new Error('failed'))
  await expect(second).rejects.toThrow()
  expect(told).toEqual(['late on'])
})
