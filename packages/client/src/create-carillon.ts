import type { Carillon, CarillonOptions } from './api.js'

/** Makes a client; nothing happens before `connect()` or `inbox.load()`. */
export declare function createCarillon(options: CarillonOptions): Carillon
