/** The person's token: asked for once, kept until it is refused or renewed. */
export interface Tokens {
  current(): Promise<string>
  /** Another one than `refused`, unless another was fetched meanwhile. Without an argument always a new one. */
  renewed(refused?: string): Promise<string>
  forget(): void
}

export function createTokens(getToken: () => Promise<string>): Tokens {
  let known: string | undefined
  let asking: Promise<string> | undefined
  const ask = () => {
    asking ??= getToken()
      .then((token) => {
        known = token
        return token
      })
      .finally(() => {
        asking = undefined
      })
    return asking
  }
  return {
    current: async () => known ?? ask(),
    renewed: async (refused) =>
      refused !== undefined && known !== undefined && known !== refused ? known : ask(),
    forget: () => {
      known = undefined
    },
  }
}
