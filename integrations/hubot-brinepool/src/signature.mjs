// The signature that both directions carry: `t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`.

import { createHmac, timingSafeEqual } from 'node:crypto'

export const HEADER = 'Brinepool-Signature'

/** How old a signature may be, or how far ahead of our clock, in seconds. */
export const WINDOW_S = 300

/** Now, in whole seconds. */
export const unixNow = () => Math.floor(Date.now() / 1000)

/** The value of the header for a body (text or bytes) that is sent at `time`. */
export function sign (secret, body, time = unixNow()) {
  return `t=${time},v1=${digest(secret, time, body).toString('hex')}`
}

/**
 * When a body was signed, in seconds; null unless the header is of this secret and these bytes, and new enough.
 * There may be several `v1`, as while a secret is being changed; one that fits is enough.
 *
 * @param {string} secret
 * @param {Buffer} body exactly as it was received
 * @param {string | undefined} header
 * @returns {number | null}
 */
export function signedAt (secret, body, header, now = unixNow()) {
  const members = (header ?? '').split(',').map(member => member.trim())
  const times = members.filter(member => /^t=\d{1,12}$/.test(member)).map(member => member.slice(2))
  const digests = members.filter(member => /^v1=[0-9a-f]{64}$/.test(member)).map(member => member.slice(3))
  if (times.length !== 1 || Math.abs(now - Number(times[0])) > WINDOW_S) return null
  const right = digest(secret, times[0], body)
  return digests.some(given => timingSafeEqual(Buffer.from(given, 'hex'), right)) ? Number(times[0]) : null
}

function digest (secret, time, body) {
  return createHmac('sha256', secret).update(`${time}.`).update(body).digest()
}
