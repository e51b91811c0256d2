// What Brinepool says later: POST /brinepool/updates on Hubot's HTTP listener.
//
// Hubot parses every JSON body before a route of `robot.router` sees it, and a signature is of the bytes. So this path
// is answered by the HTTP server itself, before the router; everything else goes on to the router as before.

import { HEADER, signedAt, unixNow, WINDOW_S } from './signature.mjs'

export const PATH = '/brinepool/updates'
export const LIMIT = 256 * 1024

/** A request is refused: the status, and a sentence for whoever reads Brinepool's log. */
export class Refused extends Error {
  constructor (status, detail) {
    super(detail)
    this.status = status
  }
}

/**
 * Answer updates on an HTTP server.
 *
 * @param {import('node:http').Server} server
 * @param {Updates} updates
 */
export function mount (server, updates) {
  const others = server.listeners('request')
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (request.url.split('?')[0] === PATH) updates.answer(request, response)
    else for (const other of others) other.call(server, request, response)
  })
}

/** Checks what arrives and has it said. */
export class Updates {
  /** delivery → when it may be forgotten, because its signature is too old by then. */
  #seen = new Map()
  #started = unixNow()

  /**
   * @param {string} secret
   * @param {(update: object) => Promise<void>} say raises when the chat service will not have it
   * @param {{error: (text: string) => void}} logger
   */
  constructor (secret, say, logger) {
    this.secret = secret
    this.say = say
    this.logger = logger
  }

  /** Answer a request: 204 when it has been said (or need not be), else a problem document. Never throws. */
  async answer (request, response) {
    try {
      await this.#take(request)
      response.writeHead(204).end()
    } catch (error) {
      refuse(response, error instanceof Refused ? error : this.#mistake(error))
    }
  }

  #mistake (error) {
    this.logger.error(`Brinepool's update failed: ${error.message}`)
    return new Refused(500, 'this Hubot made a mistake; its log has more')
  }

  async #take (request) {
    if (request.method !== 'POST') throw new Refused(405, 'updates are sent with POST')
    const body = await bytes(request)
    const time = signedAt(this.secret, body, request.headers[HEADER.toLowerCase()])
    if (time === null) throw new Refused(401, 'the signature is missing, wrong, or more than 5 minutes off this clock')
    // What was said before is not remembered over a restart; so nothing counts that was signed before it.
    if (time < this.#started) throw new Refused(503, 'this was signed before the bot started; sign it again')
    const update = checked(body)
    this.#claim(update.delivery)
    try {
      await this.say(update)
    } catch (error) {
      this.#seen.delete(update.delivery)
      throw new Refused(...blame(error, update))
    }
  }

  #claim (delivery) {
    const now = unixNow()
    for (const [old, until] of this.#seen) if (until < now) this.#seen.delete(old)
    if (this.#seen.has(delivery)) throw new Refused(409, 'this delivery was here already')
    this.#seen.set(delivery, now + 2 * WINDOW_S)
  }
}

/** The body. What is beyond the limit is read and dropped, so that the answer can still be sent. */
function bytes (request) {
  return new Promise((resolve, reject) => {
    const chunks = []
    let size = 0
    request.on('data', chunk => {
      size += chunk.length
      if (size <= LIMIT) chunks.push(chunk)
      else reject(new Refused(413, `an update has at most ${LIMIT} bytes`))
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => reject(new Refused(400, 'the request broke off')))
  })
}

function checked (body) {
  let update
  try {
    update = JSON.parse(body.toString('utf8'))
  } catch {
    throw new Refused(422, 'the body is no JSON')
  }
  for (const field of ['delivery', 'room', 'text']) {
    const value = update?.[field]
    if (typeof value !== 'string' || !value) throw new Refused(422, `“${field}” is missing or no text`)
  }
  if (!['post', 'edit'].includes(update.kind)) throw new Refused(422, '“kind” is neither post nor edit')
  if (typeof (update.direct ?? '') !== 'string') throw new Refused(422, '“direct” is no account id')
  return { ...update, direct: update.direct ?? '', reply: update.reply ?? {} }
}

/** Status and sentence for what an adapter raised. They have no common error for a room that is not there. */
function blame (error, { room }) {
  if (error instanceof Refused) return [error.status, error.message]
  const text = String(error?.data?.error ?? error?.message ?? error)
  if (/not.?found|no such|unknown (room|channel|user)|not.in.(room|channel)/i.test(text)) {
    return [404, `there is no room “${room}” that this bot can write to`]
  }
  return [502, `the chat service did not take it: ${text.split('\n')[0].slice(0, 200)}`]
}

function refuse (response, { status, message }) {
  const headers = { 'Content-Type': 'application/problem+json', Connection: 'close' }
  if (status === 405) headers.Allow = 'POST'
  response.writeHead(status, headers).end(JSON.stringify({ type: 'about:blank', status, detail: message }))
}
