import type { ReactNode } from 'react'

const PATHS = {
  bell: 'M12 3a6 6 0 0 0-6 6v3.6L4.4 16a.8.8 0 0 0 .7 1.2h13.8a.8.8 0 0 0 .7-1.2L18 12.6V9a6 6 0 0 0-6-6ZM9.8 20a2.3 2.3 0 0 0 4.4 0',
  read: 'M4 12.5 9 17.5 20 6.5',
  unread: 'M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0',
  snooze: 'M12 21a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 9v4l2.5 2M5 3 2.5 5.500M19 3l2.500 2.500',
  archive: 'M3.500 4.500h17v4h-17zM5 8.500v11h14v-11M9.500 12.500h5',
  unarchive: 'M3.500 13.500h5l1.500 3h4l1.500-3h5M3.500 13.500v6h17v-6M12 3v8M8.500 6.500 12 3l3.500 3.500',
  remove: 'M4.500 6.500h15M9.500 6.500v-3h5v3M6.500 6.500l1 14h9l1-14M10.300 10.500v6M13.700 10.500v6',
  close: 'M6 6l12 12M18 6 6 18',
  offline:
    'M3 3l18 18M8.500 15.500a5 5 0 0 1 7 0M5 12a10 10 0 0 1 4-2.400M19 12a10 10 0 0 0-5.500-2.800M12 19.200v.1',
} as const

export type IconName = keyof typeof PATHS

/** Drawn in the colour of the text around it; says nothing to a screen reader. */
export function Icon({ name }: { name: IconName }): ReactNode {
  return (
    <svg viewBox="0 0 24 24" width="1.125em" height="1.125em" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  )
}
