export { RidesConfig } from './config.js'
export { introducePeople, PEOPLE } from './people.js'
export { type Ride, type RideEventData, rideEvent } from './ride/ride.js'
export { type RidesStartDeps, start } from './start.js'
