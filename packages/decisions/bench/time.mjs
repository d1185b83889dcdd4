// Nanoseconds for one quietUntil and one next, usual days and the nights when clocks change, over ten zones.
// Run by hand after a build: node bench/time.mjs
import { createCalendar } from '../dist/src/time/calendar.js'

const ZONES = [
  'Europe/Vienna',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'America/Sao_Paulo',
  'Asia/Tokyo',
  'Pacific/Apia',
  'UTC',
  'Mars/Olympus',
]
const NIGHTS = [{ from: '22:00', to: '07:00' }]
const WEEK = [
  { from: '22:00', to: '07:00', days: ['sun', 'mon', 'tue', 'wed', 'thu'] },
  { from: '20:00', to: '10:00', days: ['fri', 'sat'] },
]
const ALWAYS = [{ from: '00:00', to: '00:00' }]
const QUIET_AT = '2026-06-10T23:00Z'
const ROUNDS = 1_000_000

const calendar = createCalendar()
let sum = 0
function measure(name, date, judge) {
  const now = Date.parse(date)
  const run = (rounds) => {
    for (let round = 0; round < rounds; round++)
      sum += judge(ZONES[round % 10], now + (round % 3600) * 1000) ?? 0
  }
  run(ROUNDS / 10)
  const begun = process.cpuUsage()
  run(ROUNDS)
  const { user, system } = process.cpuUsage(begun)
  console.log(`${String(Math.round(((user + system) / ROUNDS) * 1000)).padStart(6)} ns CPU  ${name}`)
}

const quiet = (windows) => (zone, now) => calendar.quietUntil(windows, zone, now)
const next = (time) => (zone, now) => calendar.next(time, zone, now)
measure('quietUntil, one window', QUIET_AT, quiet(NIGHTS))
measure('quietUntil, two windows with days', QUIET_AT, quiet(WEEK))
measure('quietUntil, one window, Vienna goes back', '2026-10-25T00:00Z', quiet(NIGHTS))
measure('quietUntil, always quiet', QUIET_AT, quiet(ALWAYS))
measure('next, every day', QUIET_AT, next({ at: '09:00' }))
measure('next, mondays', QUIET_AT, next({ at: '09:00', days: ['mon'] }))
measure('next, every day, Vienna goes forward', '2026-03-29T00:00Z', next({ at: '02:30' }))
measure('startOfDay', QUIET_AT, (zone, now) => calendar.startOfDay(zone, now))
measure('local', QUIET_AT, (zone, now) => calendar.local(zone, now).text.length)

const cold = process.cpuUsage()
for (const zone of ZONES) createCalendar().quietUntil(NIGHTS, zone, Date.parse(QUIET_AT))
const { user, system } = process.cpuUsage(cold)
console.log(
  `${String(Math.round((user + system) / ZONES.length)).padStart(6)} µs CPU  first question of a zone and day`,
)
if (!(sum > 0)) throw new Error('nothing was judged')
