import type { KeyObject } from 'node:crypto'
import { readCredentials } from '../credentials-fields.js'

/** A Google service account, as its JSON key file has it. */
export interface FcmCredentials {
  projectId: string
  clientEmail: string
  privateKeyId: string | undefined
  privateKey: KeyObject
}

/** Reads a service account's JSON. @throws ChannelError `CREDENTIALS_INVALID` */
export function readFcmCredentials(value: unknown): FcmCredentials {
  return readCredentials('fcm', value, (fields) => ({
    projectId: fields.text('project_id'),
    clientEmail: fields.text('client_email'),
    privateKeyId: fields.optionalText('private_key_id'),
    privateKey: fields.privateKey('private_key', 'rsa'),
  }))
}
