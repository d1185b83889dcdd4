export { type DemoSession, LOUNGE, MAP } from './session.js'

/** The folder of the built page: `index.html` and `assets/`. Made by `npm run build:web`. */
export function pageFolder(): URL {
  return new URL('../web/', import.meta.url)
}
