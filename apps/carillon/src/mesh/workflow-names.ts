/** True for the file of a workflow; its tests stand beside it. */
export function isWorkflowFile(name: string): boolean {
  return /\.ya?ml$/.test(name) && !isTestFile(name)
}

/** True for a file that tests workflows. */
export function isTestFile(name: string): boolean {
  return /\.test\.ya?ml$/.test(name)
}
