import assert from 'node:assert/strict'
import { it } from 'node:test'
import { agentSchema } from '../../src/config/agent-schema.ts'
import { parseConfig } from '../../src/config/load.ts'
import { agentLimits, defaultAgentLimits } from '../../src/limits/agent.ts'
import { limitsFrom } from '../../src/limits/limit.ts'

it("the agent's config file can say its limits, within their ranges", () => {
  const read = (text: string) => limitsFrom(agentLimits, parseConfig(text, 'f', agentSchema).limits)
  assert.deepEqual(read(''), defaultAgentLimits)
  assert.deepEqual(read('limits: { visitors: 7 }'), { ...defaultAgentLimits, visitors: 7 })
  assert.throws(() => read('limits: { visitors: 0 }'), { message: /f:1:21: limits\.visitors: / })
  assert.throws(() => read('limits: { visitor: 1 }'), { message: /did you mean "visitors"\?/ })
})
