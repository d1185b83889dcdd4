import t from 'tap'
import { wavesOf } from './waves.js'

t.test('each story keeps its order, and none waits for the end of another', async (t) => {
  const rows = ['a1', 'b1', 'a2', 'c1', 'a3', 'b2'].map((name) => ({ name, story: name.slice(0, 1) }))
  const waves = wavesOf(rows).map((wave) => wave.map(({ name }) => name))
  t.strictSame(waves, [['a1', 'b1', 'c1'], ['a2', 'b2'], ['a3']])
  t.strictSame(wavesOf([]), [])
})
