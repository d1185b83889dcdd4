import type { ReactNode } from 'react'

export interface Choices {
  theme: 'system' | 'light' | 'dark'
  locale: string
}

const LANGUAGES = { en: 'English', de: 'Deutsch', fr: 'Français', es: 'Español', ar: 'العربية' } as const

/** The same components in another theme and language. */
export function Settings(props: { choices: Choices; onChange(choices: Choices): void }): ReactNode {
  const { choices, onChange } = props
  const language = choices.locale.split('-')[0] ?? 'en'
  return (
    <div className="settings">
      <label>
        <span>Theme</span>
        <select
          value={choices.theme}
          onChange={({ target }) => onChange({ ...choices, theme: target.value as Choices['theme'] })}
        >
          <option value="system">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      <label>
        <span>Language</span>
        <select
          value={language in LANGUAGES ? language : 'en'}
          onChange={({ target }) => onChange({ ...choices, locale: target.value })}
        >
          {Object.entries(LANGUAGES).map(([code, name]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}
