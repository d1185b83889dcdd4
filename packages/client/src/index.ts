export type { InboxItem } from '@carillon/contracts'
export type * from './api.js'
export { createCarillon } from './create-carillon.js'
export { CarillonError, type ClientErrorCode, UnauthorizedError } from './errors.js'
