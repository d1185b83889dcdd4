/** Types of the events that the edge makes; the dispatcher knows them by these names. */
export const TRIGGER_TYPE = 'carillon.trigger.v1'
export const NOTIFICATION_TYPE = 'carillon.notification.v1'
