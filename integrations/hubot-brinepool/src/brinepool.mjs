// Brinepool's chat endpoint, as a client: one message in, what is to be said out. Never throws.

import { randomUUID } from 'node:crypto'

import { HEADER, sign } from './signature.mjs'

/** The connection broke after it was made, as one does that was kept open too long: worth another try at once. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

const NOT_RUNNING = 'Brinepool is not running; nothing was done. Try again in a minute.'
const ARRIVED = 'Brinepool got your message, but its answer was lost: look with “brine jobs”.'
const LOOK = 'look with “brine jobs” before you ask again.'

export class Brinepool {
  /** @param {{url: string, bot: string, secret: string, timeoutMs: number}} settings */
  constructor (settings) {
    this.settings = settings
    this.url = `${settings.url}/api/v1/chat/${settings.bot}`
  }

  /**
   * Hand over what somebody said.
   *
   * A broken connection is tried once more with the same `delivery`, by which Brinepool knows that it is the same
   * message and does nothing twice.
   *
   * @param {object} told see Rooms.told
   * @returns {Promise<{text: string, reply: object} | null>} what to say; null when nothing is, or it follows later
   */
  async hand (told) {
    const delivery = randomUUID()
    const body = JSON.stringify({ delivery, ...told, message: told.message || delivery })
    const signal = AbortSignal.timeout(this.settings.timeoutMs)
    try {
      return understood(await this.#post(body, signal).catch(error => this.#again(error, body, signal)))
    } catch (error) {
      return sentence(this.#unreached(error))
    }
  }

  async #again (error, body, signal) {
    if (!BROKEN.has(error.cause?.code)) throw error
    const response = await this.#post(body, signal)
    return response.status === 409 ? { status: 409, text: JSON.stringify({ detail: ARRIVED }) } : response
  }

  /** One attempt: the status and the text of the answer. */
  async #post (body, signal) {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', [HEADER]: sign(this.settings.secret, body) },
      body,
      signal,
      redirect: 'manual'
    })
    return { status: response.status, text: await response.text() }
  }

  #unreached (error) {
    if (error.name === 'TimeoutError') {
      const seconds = this.settings.timeoutMs / 1000
      return `Brinepool has not answered within ${seconds} s. It may be at work on it: ${LOOK}`
    }
    if (error.cause?.code === 'ECONNREFUSED') return NOT_RUNNING
    return `Brinepool cannot be reached now, and may have got your message or not: ${LOOK}`
  }
}

function understood ({ status, text }) {
  if (status === 202 || status === 204) return null
  const document = parsed(text)
  if (status === 200 && typeof document?.text === 'string') return { text: document.text, reply: document.reply ?? {} }
  if (status >= 400 && typeof document?.detail === 'string') return sentence(document.detail)
  return sentence(`What answers at BRINE_URL is not Brinepool (HTTP ${status}). Tell whoever runs this bot.`)
}

function parsed (text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const sentence = text => ({ text, reply: {} })
