// A real Robot with the package in it, for one test.

import { Robot } from 'hubot'

import brinepool from '../index.mjs'
import { Chat } from './adapters.mjs'
import { SECRET } from './stub.mjs'

export const ADA = { id: 'U1', name: 'ada' }

/**
 * Start one; it ends with the test. Brinepool is at `url`. `before`: another script, loaded first. `early`: ours is
 * loaded before the robot runs.
 */
export async function startBot (test, url, env = {}, { httpd = true, before = () => {}, early = false } = {}) {
  const kept = { ...process.env }
  Object.assign(process.env, {
    EXPRESS_BIND_ADDRESS: '127.0.0.1',
    EXPRESS_PORT: '0',
    HUBOT_LOG_LEVEL: 'silent',
    BRINE_URL: url,
    BRINE_CHAT_SECRET: SECRET,
    ...env
  })
  const robot = new Robot(null, httpd, 'hubot', false)
  robot.adapter = new Chat(robot, ['shop-dev', '#lounge', 'D7'], ['U1', 'U2'])
  const complaints = []
  for (const level of ['error', 'warn']) robot.logger[level] = text => complaints.push(text)
  robot.adapter.once('connected', () => {
    before(robot)
    if (!early) brinepool(robot)
  })
  if (early) brinepool(robot)
  await robot.run()
  process.env = kept
  test.after(() => {
    robot.server?.closeAllConnections()
    robot.shutdown()
  })
  return { robot, chat: robot.adapter, complaints, url: httpd && `http://127.0.0.1:${robot.server.address().port}` }
}
