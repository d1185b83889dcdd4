import type { ClientStorage } from './api.js'

const DATABASE = 'carillon'
const STORE = 'kept'

/** IndexedDB, which pages and workers share; undefined where there is none. */
export function createDatabaseStorage(): ClientStorage | undefined {
  if (typeof indexedDB === 'undefined') return undefined
  let opening: Promise<IDBDatabase> | undefined
  const run = async <T>(
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return answer(work((await opening).transaction(STORE, mode).objectStore(STORE)))
  }
  return {
    get: async (key) => (await run<string | undefined>('readonly', (store) => store.get(key))) ?? null,
    set: async (key, value) => void (await run('readwrite', (store) => store.put(value, key))),
    remove: async (key) => void (await run('readwrite', (store) => store.delete(key))),
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1)
  request.onupgradeneeded = () => request.result.createObjectStore(STORE)
  return answer(request)
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
