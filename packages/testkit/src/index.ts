export { type Chromium, findChromium, useChromium } from './chromium.js'
export { useNats, useNatsCluster, useRedis } from './engines.js'
export { type EventuallyOptions, eventually, NeverHappened } from './eventually.js'
export { failOnLeaks } from './leaks.js'
export { type LoopImage, useLoopImage } from './loop-image.js'
export { useNginx } from './nginx.js'
export { type NodeProcess, type NodeProcessOptions, useNodeProcess } from './node-process.js'
export {
  sharedPostgresVariable,
  type TestDatabase,
  type UsePostgresOptions,
  usePostgres,
} from './postgres.js'
export { type SkippableScope, type TestScope, useFolder } from './scope.js'
