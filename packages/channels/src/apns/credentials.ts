import type { KeyObject } from 'node:crypto'
import { readCredentials } from '../credentials-fields.js'

/** A token signing key (.p8) of an Apple team, and the app it is used for. */
export interface ApnsCredentials {
  keyId: string
  teamId: string
  key: KeyObject
  bundleId: string
  /** For addresses that don't say. */
  environment: 'production' | 'sandbox'
}

/** Reads `{keyId, teamId, key, bundleId, environment?}`, `key` as PEM. @throws ChannelError `CREDENTIALS_INVALID` */
export function readApnsCredentials(value: unknown): ApnsCredentials {
  return readCredentials('apns', value, (fields) => ({
    keyId: fields.text('keyId'),
    teamId: fields.text('teamId'),
    key: fields.privateKey('key', 'ec'),
    bundleId: fields.text('bundleId'),
    environment: fields.oneOf('environment', ['production', 'sandbox'], 'production'),
  }))
}
