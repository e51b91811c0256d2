// What the operator has set, from environment variables.

import { readFileSync } from 'node:fs'

/** A setting is missing or wrong; the message says which, and what to do. */
export class SettingError extends Error {}

/**
 * Read the settings.
 *
 * @param {Record<string, string | undefined>} env
 * @returns {{url: string, bot: string, secret: string, all: boolean, direct: RegExp | null, timeoutMs: number}}
 * @throws {SettingError}
 */
export function readSettings (env) {
  return {
    url: readUrl(env.BRINE_URL || 'http://127.0.0.1:8420'),
    bot: readBot(env.BRINE_BOT || 'hubot'),
    secret: readSecret(env),
    all: readListen(env.BRINE_LISTEN || 'brine') === 'all',
    direct: readDirect(env.BRINE_DIRECT_ROOMS),
    timeoutMs: readTimeout(env.BRINE_TIMEOUT || '15') * 1000
  }
}

function readUrl (text) {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new SettingError('BRINE_URL is no http or https address; write one such as http://127.0.0.1:8420')
  }
  return text.replace(/\/+$/, '')
}

function readBot (text) {
  if (!/^[a-z][a-z0-9-]*$/.test(text)) {
    throw new SettingError('BRINE_BOT is no name of a bot; write it as Brinepool has it, in lower case')
  }
  return text
}

function readSecret (env) {
  const secret = env.BRINE_CHAT_SECRET || readSecretFile(env.BRINE_CHAT_SECRET_FILE)
  if (!secret) {
    throw new SettingError('set BRINE_CHAT_SECRET or BRINE_CHAT_SECRET_FILE to the secret of this bot in Brinepool')
  }
  return secret
}

function readSecretFile (path) {
  if (!path) return ''
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new SettingError(`the file of BRINE_CHAT_SECRET_FILE cannot be read (${error.code})`)
  }
}

function readListen (text) {
  if (!['brine', 'all'].includes(text)) throw new SettingError('BRINE_LISTEN is either brine or all')
  return text
}

function readDirect (text) {
  if (!text) return null
  try {
    return new RegExp(text)
  } catch {
    throw new SettingError('BRINE_DIRECT_ROOMS is no regular expression; for Slack write ^D')
  }
}

function readTimeout (text) {
  const seconds = Number(text)
  if (!(seconds > 0 && seconds <= 600)) throw new SettingError('BRINE_TIMEOUT is a number of seconds, at most 600')
  return seconds
}
