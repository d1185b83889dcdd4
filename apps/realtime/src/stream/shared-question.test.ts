import fc from 'fast-check'
import t from 'tap'
import { sharedQuestion } from './shared-question.js'

t.test(
  'everybody gets an answer that was found after they asked, and no two questions are under way',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { maxLength: 40 }),
        async (scheduler, failures) => {
          let clock = 0
          let underWay = 0
          let asked = 0
          const ask = sharedQuestion(async () => {
            underWay++
            if (underWay > 1) throw new Error('two at once')
            const found = ++clock
            const fails = failures[asked++] === true
            await scheduler.schedule(Promise.resolve())
            underWay--
            if (fails) throw new Error('away')
            return found
          })
          const callers = failures.map(async () => {
            await scheduler.schedule(Promise.resolve())
            const before = clock
            const answer = await ask().catch((error: Error) => {
              if (error.message !== 'away') throw error
              return undefined
            })
            if (answer !== undefined && answer <= before) throw new Error(`${answer} was found before`)
          })
          await scheduler.waitFor(Promise.all(callers))
          if (asked > failures.length) throw new Error('asked more often than anybody wanted')
        },
      ),
      { numRuns: 500 },
    )
    t.pass('500 schedules')
  },
)
