import { ERRORS } from '../../protocol/codes.js'
import { createBudget } from '../budgets.js'
import { type Caller, Refusal } from '../caller.js'

/** Takes one from the client's budget of what costs others work. @throws Refusal when it is used up for now */
export function spend(caller: Caller): void {
  caller.budget ??= createBudget(caller.deps.now)
  if (!caller.budget.take()) throw new Refusal(ERRORS.tooManyRequests)
}
