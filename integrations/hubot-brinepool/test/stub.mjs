// Brinepool's side of the contract: an HTTP server that refuses what is not signed as it should be.

import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'

export const SECRET = 'a secret of at least thirty-two characters'
const FIELDS = ['answer', 'bot', 'delivery', 'edited', 'email', 'message', 'name', 'room', 'text', 'thread', 'user']

/** Written here a second time, so that a mistake in the package's own cannot hide. */
export function header (body, { secret = SECRET, time = Math.floor(Date.now() / 1000) } = {}) {
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`
}

/** `answer(request)` → [status, document]; it may return a promise. `requests`: what was accepted. */
export class Stub {
  requests = []
  deliveries = []
  answer = request => [200, { message: 'm', reply: { title: 'ok' }, text: `You said: ${request.text}`, thread: '' }]
  breakNext = 0

  async start () {
    this.server = createServer((request, response) => this.#serve(request, response))
    await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  async stop () {
    this.server.closeAllConnections()
    await new Promise(resolve => this.server.close(resolve))
  }

  async #serve (request, response) {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    if (request.url === '/login') return response.end('{"text": "Sign in"}')
    const body = Buffer.concat(chunks).toString()
    this.deliveries.push(JSON.parse(body).delivery)
    if (this.breakNext-- > 0) return request.socket.destroy()
    const [status, document] = await this.#judge(request, body)
    response.writeHead(status, { 'Content-Type': 'application/json', ...(status === 302 && { Location: '/login' }) })
    response.end(typeof document === 'string' ? document : JSON.stringify(document))
  }

  #judge (request, body) {
    const given = request.headers['brinepool-signature'] ?? ''
    const time = Number(/^t=(\d+),/.exec(given)?.[1])
    const old = Math.abs(Date.now() / 1000 - time) > 300
    if (old || given !== header(body, { time })) return [401, { detail: 'Not signed.' }]
    if (request.url !== '/api/v1/chat/hubot') return [404, { detail: `There is nothing at ${request.url}.` }]
    const message = JSON.parse(body)
    const fields = Object.keys(message).sort().join()
    if (fields !== FIELDS.join()) return [422, { detail: `Fields: ${fields}` }]
    this.requests.push(message)
    return this.answer(message)
  }
}
