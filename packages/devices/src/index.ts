export { WebPushError, type WebPushErrorCode } from './errors.js'
export { registerWebPush, type WebPush, type WebPushOptions, type WebPushState } from './web-push.js'
