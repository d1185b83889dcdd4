/** JSON that is passed on as its author wrote it, without being read. */
export class RawJson {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}
